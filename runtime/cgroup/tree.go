package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"sort"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
)

// Tree is the caller's place in the host's control groups: its own group in each hierarchy. New
// groups are made below it. A Tree is not safe for concurrent use; the groups of one Tree are
// safe to use beside each other.
type Tree struct {
	mode   Mode
	own    []*dir           // where the caller is; v2 last
	hidden map[string]error // by controller, why its mounted hierarchy does not show the caller's group
	groups atomic.Int64     // made by Create and not closed
}

// Find reads where control groups are mounted and where the caller is in them.
func Find() (*Tree, error) {
	t, err := find("/proc/thread-self/cgroup")
	if err != nil {
		return nil, err
	}
	// Inside a leaf that an earlier Tree of this or another process has made, the place is its
	// parent: the leaf may hold no groups for the same reason that it was made.
	for i, d := range t.own {
		if !d.v2 || path.Base(d.path) != leafName {
			continue
		}
		up, err := openHost(mount{v2: true, point: d.top}, path.Dir(d.path))
		if err != nil {
			return nil, errors.Join(err, t.Close())
		}
		d.close()
		t.own[i] = up
	}
	return t, nil
}

// find opens the groups that a file in the form of /proc/PID/cgroup names.
func find(memberships string) (*Tree, error) {
	mounts, err := parseFile("/proc/thread-self/mountinfo", parseMountinfo)
	if err != nil {
		return nil, err
	}
	in, err := parseFile(memberships, parseMemberships)
	if err != nil {
		return nil, err
	}
	t := &Tree{mode: mode(mounts), hidden: map[string]error{}}
	var hidden []error
	for _, m := range in {
		d, err := openOwn(mounts, m)
		switch {
		case errors.Is(err, kernel.ErrNotSupported):
			hidden = append(hidden, err)
			for _, c := range m.controllers {
				t.hidden[v2Name(c)] = err
			}
		case err != nil:
			return nil, errors.Join(err, t.Close())
		case d != nil:
			t.own = append(t.own, d)
		}
	}
	if len(t.own) == 0 {
		if len(hidden) > 0 {
			return nil, fmt.Errorf("find cgroups: %w", hidden[0])
		}
		return nil, fmt.Errorf("find cgroups: %w", kernel.Unsupported("no cgroup file system is mounted: mount one at /sys/fs/cgroup"))
	}
	sort.SliceStable(t.own, func(i, j int) bool { return !t.own[i].v2 && t.own[j].v2 })
	return t, nil
}

func mode(mounts []mount) Mode {
	var v1, v2 bool
	for _, m := range mounts {
		v2 = v2 || m.v2
		v1 = v1 || slices.ContainsFunc(m.controllers, isController)
	}
	switch {
	case v1 && v2:
		return Hybrid
	case v2:
		return V2
	}
	return V1
}

// isController is false for a named hierarchy, which only groups processes.
func isController(name string) bool { return !strings.HasPrefix(name, "name=") }

// openOwn opens the directory of m under the first mount that shows it; nil where m belongs to
// a hierarchy that is not mounted, or to one without a controller.
func openOwn(mounts []mount, m membership) (*dir, error) {
	if m.controllers != nil && !slices.ContainsFunc(m.controllers, isController) {
		return nil, nil
	}
	var last error
	for _, at := range mounts {
		if at.v2 != (m.controllers == nil) || !at.v2 && !slices.Contains(at.controllers, m.controllers[0]) {
			continue
		}
		host, ok := at.locate(m.path)
		if !ok {
			last = kernel.Unsupported("cgroup %s is outside of what %s shows", m.path, at.point)
			continue
		}
		d, err := openHost(at, host)
		if err == nil {
			return d, nil
		}
		if gone(err) {
			err = kernel.Unsupported("cgroup %s: %s is not there: another mount hides it", m.path, host)
		}
		last = err
	}
	return nil, last
}

// Level gives the tree one path in all hierarchies, since an OCI runtime is told no more than one
// (config-linux.md, "Cgroups Path"). Where the caller's own groups differ, new groups are made below
// the topmost that are mounted instead. It belongs between Find and the first Create.
func (t *Tree) Level() error {
	if !slices.ContainsFunc(t.own, func(d *dir) bool { return d.below() != t.own[0].below() }) {
		return nil
	}
	for i, d := range t.own {
		top, err := openHost(mount{point: d.top, v2: d.v2, controllers: d.controllers}, d.top)
		if err != nil {
			return fmt.Errorf("level cgroups: %w", err)
		}
		d.close()
		t.own[i] = top
	}
	return nil
}

// Mode is how the host mounts its control groups.
func (t *Tree) Mode() Mode { return t.mode }

// Controllers returns, sorted, what new groups of this Tree can limit or count, under the names
// of cgroup v2 (v1's blkio is io), and besides "cpuacct", "devices" and "freezer" where v1 has
// them as controllers. Whether the caller may make groups at all is Require's answer.
func (t *Tree) Controllers() []string {
	var names []string
	for _, d := range t.own {
		for _, c := range d.available() {
			names = append(names, v2Name(c))
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// available returns the controllers that groups below d can have, under the hierarchy's names.
func (d *dir) available() []string {
	if !d.v2 {
		return slices.DeleteFunc(slices.Clone(d.controllers), func(c string) bool { return !isController(c) })
	}
	list, err := d.read("cgroup.controllers")
	if err != nil {
		return nil
	}
	return strings.Fields(list)
}

func v2Name(controller string) string {
	if controller == "blkio" {
		return "io"
	}
	return controller
}

// Require is a gate: nil where each of the controllers, under the names of Controllers, can be
// used for new groups. "devices" and "freezer" are also asked for on v2, where the first is a
// BPF program and the second part of every group. The error wraps kernel.ErrNotSupported.
func (t *Tree) Require(controllers ...string) error {
	for _, c := range controllers {
		d := t.dir(c)
		if d == nil && (c == "freezer" || c == "devices") {
			d = t.v2()
		}
		if d == nil {
			return t.lacks(c)
		}
		err := unix.Faccessat(d.fd, ".", unix.W_OK, unix.AT_EACCESS)
		switch {
		case err == nil && c == "devices" && d.v2:
			if err := probeDeviceProgram(); err != nil {
				return err
			}
		case errors.Is(err, unix.EROFS):
			return kernel.Unsupported("%s controller: %s is mounted read-only", c, d.path)
		case errors.Is(err, unix.EACCES):
			return kernel.Unsupported("%s controller: %s is not delegated to uid %d: run as root", c, d.path, os.Geteuid())
		case err != nil:
			return fmt.Errorf("access %s: %w", d.path, err)
		}
	}
	return nil
}

func (t *Tree) lacks(controller string) error {
	if err := t.hidden[controller]; err != nil {
		return fmt.Errorf("%s controller: %w", controller, err)
	}
	d := t.v2()
	if d == nil {
		return kernel.Unsupported("%s controller: the kernel lacks it or its hierarchy is not mounted", controller)
	}
	remedy := ""
	if top, err := openDir(d, unix.AT_FDCWD, d.top, d.top); err == nil {
		if slices.Contains(top.available(), controller) {
			remedy = ": run it in a group of its own, such as systemd-run --scope -p Delegate=yes makes"
		}
		top.close()
	}
	return kernel.Unsupported("%s controller is not delegated to %s%s", controller, d.path, remedy)
}

// dir returns the own group that has a controller; nil if none.
func (t *Tree) dir(controller string) *dir {
	for _, d := range t.own {
		if slices.ContainsFunc(d.available(), func(c string) bool { return v2Name(c) == controller }) {
			return d
		}
	}
	return nil
}

func (t *Tree) v2() *dir {
	if len(t.own) == 0 {
		return nil
	}
	if d := t.own[len(t.own)-1]; d.v2 {
		return d
	}
	return nil
}

// Close undoes what Create had to change in the caller's own v2 group, unless another Tree on
// the host still needs it, and releases the descriptors. Close the groups first.
func (t *Tree) Close() error {
	var err error
	if n := t.groups.Load(); n > 0 {
		return fmt.Errorf("close cgroups: %d groups are open: close them first", n)
	}
	if d := t.v2(); d != nil && d.fd >= 0 {
		err = d.restore()
	}
	for _, d := range t.own {
		if d.fd >= 0 {
			d.close()
		}
	}
	return err
}
