package cgroup

import (
	"reflect"
	"strings"
)

// Hierarchy is one directory of a group.
type Hierarchy struct {
	// Name is the v1 controllers as mount data and directories spell them, "cpu,cpuacct", or
	// "unified" for v2.
	Name string
	Path string // the group's directory on the host
	// Below is its path below the mount point of the hierarchy: "/cellwall-x".
	Below string
	V2    bool
}

// Hierarchies lists the group's directories, those of v1 in the order of Join.Tasks.
func (g *Group) Hierarchies() []Hierarchy {
	g.mu.Lock()
	defer g.mu.Unlock()
	var list []Hierarchy
	if g.closed {
		return nil
	}
	for _, d := range g.dirs {
		h := Hierarchy{Name: strings.Join(d.controllers, ","), Path: d.path, Below: d.below(), V2: d.v2}
		if d.v2 {
			h.Name = "unified"
		}
		list = append(list, h)
	}
	return list
}

// IsZero reports whether nothing is limited.
func (l Limits) IsZero() bool { return reflect.ValueOf(l).IsZero() }
