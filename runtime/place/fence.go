package place

import (
	"fmt"

	"cellwall/runtime/cgroup"
)

// fence makes the group that bounds all containers together, also those whose own limits an edit
// took away.
func (p *Place) fence(tasks, memory uint64) error {
	tree, err := cgroup.Find()
	if err != nil {
		return err
	}
	p.Tree = tree
	p.Undo.Push("close the cgroup tree", tree.Close)
	if err := tree.Level(); err != nil {
		return err
	}
	limits := cgroup.Limits{PidsMax: tasks, MemoryMax: memory, Devices: []cgroup.DeviceRule{{Allow: true}}}
	for _, c := range []string{"cpuset", "io", "hugetlb"} {
		// A container's limit needs the controller in every group above it.
		if tree.Require(c) == nil {
			limits.Controllers = append(limits.Controllers, c)
		}
	}
	p.Fence, err = tree.Create(p.Name, limits)
	if err != nil {
		return fmt.Errorf("fence the containers in: %w", err)
	}
	p.Undo.Push("remove what runtimes made beside the fence", func() error { return cgroup.RemoveAt("/" + p.Name) })
	p.Undo.Push("remove the fence", p.Fence.Close)
	// Set reads back what it writes; this asks once more, since everything rests on it.
	got, err := p.Fence.Limits()
	if err != nil {
		return fmt.Errorf("read the fence back: %w", err)
	}
	if got.PidsMax != tasks || got.MemoryMax != memory {
		return fmt.Errorf("the fence does not hold: pids.max is %d, memory.max %d", got.PidsMax, got.MemoryMax)
	}
	return nil
}
