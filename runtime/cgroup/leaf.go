package cgroup

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// leafName is where the processes of a v2 group go so that controllers can be enabled in it: a
// group with enabled controllers holds no processes, unless it is the root ("no internal
// processes", cgroup-v2.rst). One name for all, so that Trees of several processes share it.
const leafName = Prefix + "leaf"

// enabledAttr lists, on the caller's own v2 group, the controllers that Trees have enabled
// there. It lives in the kernel's directory so that the last Tree, or one after a crash, can
// undo what the first did. kernfs has user.* attributes since 5.7.
const enabledAttr = "user.cellwall.enabled"

// enable makes controllers available to the groups below d. A group of ours is not evacuated:
// what is in it belongs there.
func (d *dir) enable(want []string, evacuate bool) error {
	missing, err := d.missing(want)
	if err != nil || len(missing) == 0 {
		return err
	}
	if evacuate {
		before, _ := d.attr()
		all := strings.Join(append(before, missing...), " ")
		if err := unix.Fsetxattr(d.fd, enabledAttr, []byte(all), 0); err != nil {
			return d.wrap("mark", "", err)
		}
	}
	request := "+" + strings.Join(missing, " +")
	for range 100 { // processes may fork while they are moved; each round moves the rest
		if evacuate {
			if err := d.evacuate(); err != nil {
				return err
			}
		}
		err = d.write("cgroup.subtree_control", request)
		if !evacuate || err != nil && !errors.Is(err, unix.EBUSY) {
			break
		}
		// With cpu and pids alone the kernel does not refuse a group with processes: it turns
		// it into a thread root, below which no process can live. So look again.
		if err == nil && (d.isRoot() || d.empty()) {
			return nil
		}
	}
	switch {
	case errors.Is(err, unix.EBUSY) && !evacuate:
		return fmt.Errorf("%w: a group that holds processes cannot have limited groups below it", err)
	case errors.Is(err, unix.EOPNOTSUPP):
		return fmt.Errorf("%w: the group is threaded", err)
	}
	return err
}

func (d *dir) missing(want []string) ([]string, error) {
	if len(want) == 0 {
		return nil, nil
	}
	now, err := d.read("cgroup.subtree_control")
	if err != nil {
		return nil, err
	}
	have := strings.Fields(now)
	return slices.DeleteFunc(slices.Clone(want), func(c string) bool { return slices.Contains(have, c) }), nil
}

// isRoot reports whether d is the root of the v2 hierarchy, which alone lacks cgroup.type. The
// root of a cgroup namespace has it.
func (d *dir) isRoot() bool { return !d.has("cgroup.type") }

func (d *dir) empty() bool {
	procs, err := d.read("cgroup.procs")
	return err == nil && procs == ""
}

// evacuate moves the processes of d to its leaf, if it may not keep them.
func (d *dir) evacuate() error {
	if d.isRoot() || d.empty() {
		return nil
	}
	if err := unix.Mkdirat(d.fd, leafName, 0o755); err != nil && !errors.Is(err, unix.EEXIST) {
		return d.wrap("make", leafName, err)
	}
	leaf, err := openDir(d, d.fd, leafName, path.Join(d.path, leafName))
	if err != nil {
		return err
	}
	defer leaf.close()
	return d.moveAll(leaf)
}

// moveAll moves the processes of d, not of groups below it, to another group.
func (d *dir) moveAll(to *dir) error {
	procs, err := d.read("cgroup.procs")
	if err != nil {
		return err
	}
	for pid := range strings.FieldsSeq(procs) {
		if pid == "0" {
			return fmt.Errorf("empty %s: it holds processes of an outer pid namespace: run cellwall in a group of its own", d.path)
		}
		if err := to.write("cgroup.procs", pid); err != nil && !errors.Is(err, unix.ESRCH) {
			return err
		}
	}
	return nil
}

func (d *dir) attr() ([]string, error) {
	var buf [512]byte
	n, err := unix.Fgetxattr(d.fd, enabledAttr, buf[:])
	if err != nil {
		return nil, err
	}
	names := strings.Fields(string(buf[:n]))
	slices.Sort(names)
	return slices.Compact(names), nil
}

// share says that this Tree relies on what is enabled in d. The lock is a courtesy among
// Trees, never a reason to fail: anyone who may open the directory can hold it.
func (d *dir) share() { _ = unix.Flock(d.fd, unix.LOCK_SH|unix.LOCK_NB) }

// restore undoes enable if no other Tree relies on it: controllers off, processes back, leaf
// removed.
func (d *dir) restore() error {
	enabled, err := d.attr()
	if err != nil {
		return nil //nolint:nilerr // no attribute: nothing was changed
	}
	if unix.Flock(d.fd, unix.LOCK_EX|unix.LOCK_NB) != nil {
		return nil //nolint:nilerr // the last Tree does it
	}
	defer unix.Flock(d.fd, unix.LOCK_UN) //nolint:errcheck // the close ends it too
	names, err := d.children()
	if err != nil {
		return err
	}
	for _, name := range names {
		if strings.HasPrefix(name, Prefix) && name != leafName {
			return nil // a killed run left it: what is enabled goes when `cellwall clean` has removed it
		}
	}
	if d.has(leafName) {
		// A group that held processes had none enabled, and takes them back only without any. OCI runtimes
		// enable all that there are down to their container's group (runc: CreateCgroupPath).
		now, err := d.read("cgroup.subtree_control")
		if err != nil {
			return err
		}
		enabled = strings.Fields(now)
	}
	if len(enabled) > 0 {
		if err := d.write("cgroup.subtree_control", "-"+strings.Join(enabled, " -")); err != nil {
			return err
		}
	}
	if err := d.removeLeaf(); err != nil {
		return err
	}
	if err := unix.Fremovexattr(d.fd, enabledAttr); err != nil {
		return d.wrap("unmark", "", err)
	}
	return nil
}

// removeLeaf moves the processes of the leaf back into d.
func (d *dir) removeLeaf() error {
	leaf, err := openDir(d, d.fd, leafName, path.Join(d.path, leafName))
	if gone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer leaf.close()
	if err := leaf.moveAll(d); err != nil {
		return err
	}
	// What forks meanwhile is moved as well.
	return leaf.remove(d, leafName, func() error { return leaf.moveAll(d) })
}

func pids(list string) ([]int, error) {
	var all []int
	for f := range strings.FieldsSeq(list) {
		pid, err := strconv.Atoi(f)
		if err != nil {
			return nil, fmt.Errorf("parse cgroup.procs: %w", err)
		}
		all = append(all, pid)
	}
	return all, nil
}
