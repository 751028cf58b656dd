package bench

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"cellwall/bench/load"
	"cellwall/runtime/cgroup"
	"cellwall/runtime/cleanup"
	"cellwall/runtime/driver"
	"cellwall/runtime/place"
	"cellwall/runtime/rootfs"
	"cellwall/runtime/spec"
)

// Place is what a worker has on the host. Close removes it all; what a killed worker leaves is found by
// its lease (cellwall clean).
type Place struct {
	// Name starts with cellwall- and starts the name of every object on the host.
	Name string
	// Dir is on a tmpfs where there is one; Disk is the lease's.
	Dir, Disk string
	// Binary is a copy of this program.
	Binary string
	// Root is the root directory: the load program and the tiny ones of package load.
	Root string
	// Tree is the host's cgroups, Fence the group that bounds all containers of the worker.
	Tree  *cgroup.Tree
	Fence *cgroup.Group
	// Bounds are the fence's own limits.
	Bounds cgroup.Limits
	// Core is our own runtime.
	Core driver.Runtime
	// Options is what specs are made of.
	Options spec.Options

	undo cleanup.Stack
}

// The fence of a worker bounds all of its containers together.
const (
	fencePids   = 4096
	fenceMemory = 4 << 30 // at most, and never more than half of what the host has left
)

// NewPlace prepares the host, with its lease below dir. It needs root: without it the error says so.
func NewPlace(dir string) (_ *Place, err error) {
	available, err := availableMemory()
	if err != nil {
		return nil, err
	}
	const page = 4096
	bounds := cgroup.Limits{PidsMax: fencePids, MemoryMax: min(fenceMemory, available/2/page*page)}
	held, err := place.Take(dir, bounds.PidsMax, bounds.MemoryMax)
	if err != nil {
		return nil, err
	}
	p := &Place{
		Name: held.Name, Dir: held.Dir, Disk: held.Lease, Tree: held.Tree, Fence: held.Fence, Bounds: bounds, Core: held.Core, Options: held.Options,
	}
	p.undo.Push("leave the host", held.Close)
	defer p.undo.OnError(&err)
	if p.Binary, err = held.CopySelf("program"); err != nil {
		return nil, err
	}
	if p.Root, err = p.newRoot(p.Dir); err != nil {
		return nil, err
	}
	return p, nil
}

// Close undoes the place.
func (p *Place) Close() error { return p.undo.Close() }

// newRoot makes a root directory below dir with the load program and the tiny ones.
func (p *Place) newRoot(dir string) (string, error) {
	root, err := rootfs.Attacker(dir, p.Binary)
	if err != nil {
		return "", err
	}
	p.undo.Push("remove the root directory", root.Close)
	// A copy, since what runs from a file cannot be dropped from the page cache.
	if err := place.CopyProgram(p.Binary, filepath.Join(root.Path(), load.Program)); err != nil {
		return "", err
	}
	for name, code := range load.Tiny() {
		if err := os.WriteFile(filepath.Join(root.Path(), name), code, 0o755); err != nil { // containers execute it
			return "", fmt.Errorf("write a program: %w", err)
		}
	}
	// A runtime fills a /dev that nothing is mounted on, as the container's root.
	if err := os.Chown(filepath.Join(root.Path(), "dev"), int(p.Options.HostID), int(p.Options.HostID)); err != nil {
		return "", fmt.Errorf("give away /dev: %w", err)
	}
	data := filepath.Join(root.Path(), load.Data)
	if err := errors.Join(os.Mkdir(data, 0o777), os.Chmod(data, 0o777)); err != nil { // a mapped root writes there
		return "", fmt.Errorf("make a directory: %w", err)
	}
	return root.Path(), nil
}
