package cgroup

import (
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// FindLeft returns the directories, in every mounted hierarchy and at any depth, whose name
// starts with prefix; not those below another such. Remove them in this order: v2 first, which
// kills fastest, then v1's freezer, as what is frozen does not die. What Tree.Create enabled in a group
// that is still there is undone by Find and Close.
func FindLeft(prefix string) ([]string, error) {
	mounts, err := removable()
	if err != nil {
		return nil, err
	}
	var found []string
	for _, m := range mounts {
		d, err := openHost(m, m.point)
		if err != nil {
			continue // hidden by another mount
		}
		err = d.findLeft(prefix, &found)
		d.close()
		if err != nil {
			return nil, fmt.Errorf("find cgroups %s*: %w", prefix, err)
		}
	}
	return found, nil
}

func (d *dir) findLeft(prefix string, found *[]string) error {
	names, err := d.children()
	if err != nil {
		if gone(err) {
			return nil
		}
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		host := path.Join(d.path, name)
		if strings.HasPrefix(name, prefix) {
			if !slices.Contains(*found, host) {
				*found = append(*found, host)
			}
			continue
		}
		c, err := openDir(d, d.fd, name, host)
		if gone(err) || errors.Is(err, unix.EACCES) {
			continue
		}
		if err != nil {
			return err
		}
		err = c.findLeft(prefix, found)
		c.close()
		if err != nil {
			return err
		}
	}
	return nil
}

// removable are the mounted hierarchies in the order in which a group's directories are removed.
func removable() ([]mount, error) {
	mounts, err := parseFile("/proc/thread-self/mountinfo", parseMountinfo)
	if err != nil {
		return nil, err
	}
	rank := func(m mount) int {
		switch {
		case m.v2:
			return 0
		case slices.Contains(m.controllers, "freezer"):
			return 1
		}
		return 2
	}
	slices.SortStableFunc(mounts, func(a, b mount) int { return rank(a) - rank(b) })
	return mounts, nil
}

// At returns the directories, in every mounted hierarchy, of the group whose path below the mount
// points is given: what an OCI runtime may have made of linux.cgroupsPath. Remove them in this order.
func At(below string) ([]string, error) {
	mounts, err := removable()
	if err != nil {
		return nil, err
	}
	var found []string
	for _, m := range mounts {
		d, err := openHost(m, path.Join(m.point, below))
		if err != nil {
			continue // not there, or hidden by another mount
		}
		if !slices.Contains(found, d.path) {
			found = append(found, d.path)
		}
		d.close()
	}
	return found, nil
}

// RemoveAt removes the group at a path, as At takes it, from every hierarchy: what runtimes have made
// beside a group of ours, since they make theirs in all that are mounted.
func RemoveAt(below string) error {
	groups, err := At(below)
	for _, p := range groups {
		err = errors.Join(err, Remove(p))
	}
	return err
}

// Remove kills what is in the group at an absolute path and below it, and removes it from this
// hierarchy. It refuses a path in which no part starts with Prefix. From a leaf that Tree.Create
// made the processes are moved back instead. A group that is not there is no error.
func Remove(dirPath string) error {
	if err := remove(filepath.Clean(dirPath)); err != nil {
		return fmt.Errorf("remove cgroup %s: %w", dirPath, err)
	}
	return nil
}

func remove(p string) error {
	if !path.IsAbs(p) || !slices.ContainsFunc(strings.Split(p, "/"), func(s string) bool { return strings.HasPrefix(s, Prefix) }) {
		return fmt.Errorf("not a path with a part that starts with %s", Prefix)
	}
	parent, err := openDir(&dir{}, unix.AT_FDCWD, path.Dir(p), path.Dir(p))
	if err != nil {
		if gone(err) {
			return nil
		}
		return err
	}
	defer parent.close()
	if parent.v2, err = isCgroup(parent.fd); err != nil {
		return err
	}
	name := path.Base(p)
	if parent.v2 && name == leafName {
		if err := parent.restore(); err != nil {
			return err
		}
		if parent.has(name) {
			return errors.New("another cellwall uses it")
		}
		return nil
	}
	d, err := openDir(parent, parent.fd, name, p)
	if err != nil {
		if gone(err) {
			return nil
		}
		return err
	}
	if d.has("freezer.state") { // what is frozen does not die
		d.controllers = []string{"freezer"}
	}
	g := &Group{name: name, dirs: []*dir{d}, parents: []*dir{parent}}
	defer d.close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*exiting)
	defer cancel()
	if err := g.kill(ctx); err != nil {
		return err
	}
	return d.remove(parent, name, g.checkEmpty)
}
