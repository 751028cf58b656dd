package core

import (
	"context"
	"errors"
	"strings"

	"golang.org/x/sys/unix"

	"cellwall/runtime/cgroup"
)

// Groups makes cgroups below a place: *cgroup.Group and *cgroup.Tree do.
type Groups interface {
	Create(name string, l cgroup.Limits) (*cgroup.Group, error)
}

// makeGroup makes the container's cgroup with the limits of its spec.
func (c *Container) makeGroup(host *Host) (cgroup.Join, error) {
	nowhere := cgroup.Join{Into: -1}
	if c.options.Spec == nil || c.options.Spec.Linux == nil {
		return nowhere, nil // Validate says so
	}
	limits, err := cgroup.LimitsFromSpec(c.options.Spec.Linux.Resources)
	if err != nil {
		return nowhere, err
	}
	limits.Devices = withDefaultDevices(limits.Devices, c.options.Spec)
	if c.options.Parent == nil {
		if !limits.IsZero() {
			return nowhere, errors.New("linux.resources need a cgroup: none was given to create one in")
		}
		return nowhere, nil
	}
	name := c.options.GroupName
	if name == "" {
		name = cgroup.Prefix + strings.TrimPrefix(c.id, cgroup.Prefix)
	}
	c.group, err = c.options.Parent.Create(name, limits)
	if err != nil {
		return nowhere, err
	}
	c.undo.Push("remove the cgroup", c.removeGroup)
	join, err := c.group.Join()
	if err != nil {
		return nowhere, err
	}
	for _, h := range c.group.Hierarchies() {
		if !h.V2 {
			host.Tasks = append(host.Tasks, h.Name) // in the order of join.Tasks
		}
	}
	host.Cgroups = cgroupMounts(c.group)
	return join, nil
}

// cgroupMounts says how a mount of type cgroup shows the group's hierarchies.
func cgroupMounts(g *cgroup.Group) []CgroupMount {
	var mounts []CgroupMount
	for _, h := range g.Hierarchies() {
		m := CgroupMount{Type: "cgroup", Name: h.Name, Data: h.Name, Path: h.Path}
		if h.V2 {
			m.Type, m.Data = "cgroup2", ""
		}
		mounts = append(mounts, m)
	}
	if len(mounts) == 1 && mounts[0].Type == "cgroup2" {
		mounts[0].Name = ""
	}
	return mounts
}

// removeGroup removes the cgroup. Init's end has ended every process of a pid namespace of its
// own; without one the others outlive it, and are killed here.
func (c *Container) removeGroup() error {
	err := c.group.Close()
	if !errors.Is(err, unix.EBUSY) {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), killTimeout)
	defer cancel()
	if err := c.group.Kill(ctx); err != nil {
		return err
	}
	return c.group.Close()
}
