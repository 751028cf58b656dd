package judge

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/driver"
	"cellwall/runtime/kernel"
	"cellwall/runtime/place"
	"cellwall/runtime/rootfs"
	"cellwall/runtime/spec"
	"cellwall/suites/sentinel"
)

// stage makes the place for one trial.
func (j *Judge) stage(rt driver.Runtime, t trial) (_ *sentinel.Stage, _ *rootfs.Root, err error) {
	n := j.trials.Add(1)
	s := &sentinel.Stage{
		Rung: t.rung, Lease: j.Lease, Binary: j.Binary, Nonce: sentinel.Token(), Fence: j.Fence, Edits: names(t.both, t.control()),
		Name: fmt.Sprintf("%s-%d", j.Name, n), UID: j.Options.HostID + place.SpareIDs + uint32(n),
		Root: j.Options.HostID, Mapped: j.Options.HostID + 1000 + uint32(n)%(place.IDCount-1000),
		Copied: driver.Copies(rt), Sandboxed: driver.Sandboxed(rt), Probe: j.probe,
	}
	defer s.Undo.OnError(&err)
	s.Dir = filepath.Join(j.Dir, s.Name)
	if err := os.Mkdir(s.Dir, 0o755); err != nil { // a mapped root must pass
		return nil, nil, fmt.Errorf("make the trial's directory: %w", err)
	}
	s.Undo.Push("remove the trial's directory", func() error { return rootfs.Remove(s.Dir) })
	root, err := rootfs.Attacker(s.Dir, j.Binary)
	if err != nil {
		return nil, nil, err
	}
	s.Undo.Push("remove the root directory", root.Close)
	s.Rootfs = root.Path()
	return s, root, nil
}

// bundle makes the container's spec: the rung's, the edits, the bait's, and the attacker's
// arguments.
func (j *Judge) bundle(rt driver.Runtime, l life) (driver.Bundle, string, error) {
	edits := slices.Clone(rt.Lacks())
	for _, m := range l.root.Mounts() {
		edits = append(edits, spec.WithMount(m))
	}
	edits = slices.Concat(edits, l.both, l.watch.Edits, l.control(), l.watch.Fence)
	s, omit := j.spec(l.rung, l.stage.Rootfs, edits)
	if err := affordable(s, j.Options.Capabilities); err != nil {
		return driver.Bundle{}, "", err
	}
	target, err := json.Marshal(l.watch.Target)
	if err != nil {
		return driver.Bundle{}, "", fmt.Errorf("encode the target: %w", err)
	}
	token := sentinel.Token()
	s.Process.Args = append(s.Process.Args[:1:1], l.guarantee.Attack.Name, string(target), token)
	if !slices.ContainsFunc(s.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == specs.MountNamespace }) {
		s.Mounts = nil // they would be the host's
	}
	parent := j.Fence
	if l.watch.Parent != nil {
		parent = l.watch.Parent
	}
	return driver.Bundle{
		ID: l.id, Dir: l.stage.Dir, Spec: s, Omit: omit, From: l.watch.From, Prepare: l.watch.Prepare, Parent: parent,
	}, token, nil
}

// spec is that of a rung with a root directory and edits, and the steps to omit. Where the kernel counts no
// swap to a cgroup it limits none: only the rows about that are lost.
func (j *Judge) spec(rung spec.Rung, root string, edits spec.Edits) (*specs.Spec, []string) {
	o := j.Options
	o.Rootfs = root
	o.Args = []string{rootfs.AttackerPath}
	s, omit := edits.Apply(spec.New(rung, o))
	if r := s.Linux.Resources; errors.Is(j.swap, kernel.ErrNotSupported) && r != nil && r.Memory != nil {
		r.Memory.Swap = nil
	}
	return s, omit
}
