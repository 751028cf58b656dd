package cgroup

import (
	"slices"
	"testing"
)

// TestLevel makes a group that has one path everywhere, finds its directories by it, and moves a
// process into it.
func TestLevel(t *testing.T) {
	tree := newTree(t)
	if err := tree.Level(); err != nil {
		t.Fatal(err)
	}
	g := newGroup(t, tree, Limits{PidsMax: 20})
	var want []string
	hierarchies := g.Hierarchies()
	for _, h := range hierarchies {
		if h.Below != hierarchies[0].Below {
			t.Errorf("it is %s in %s, and %s in %s", h.Below, h.Name, hierarchies[0].Below, hierarchies[0].Name)
		}
		want = append(want, h.Path)
	}
	got, err := At(hierarchies[0].Below)
	slices.Sort(want)
	slices.Sort(got)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("at %s are %q, %v, want %q", hierarchies[0].Below, got, err, want)
	}
	if none, err := At(hierarchies[0].Below + "-none"); err != nil || len(none) > 0 {
		t.Errorf("at a path that no group has are %q, %v", none, err)
	}
	inner, err := g.Create("inner", Limits{})
	if err != nil {
		t.Fatal(err)
	}
	c := start(t, inner, "wait")
	c.line(t)
	other, err := g.Create("other", Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Add(c.cmd.Process.Pid); err != nil {
		t.Fatal(err)
	}
	for _, d := range other.dirs {
		if procs, err := d.procs(); err != nil || !slices.Contains(procs, c.cmd.Process.Pid) {
			t.Errorf("%s holds %v, %v", d.path, procs, err)
		}
	}
	if procs, err := inner.Procs(); err != nil || len(procs) > 0 {
		t.Errorf("the group that it has left holds %v, %v", procs, err)
	}
	for _, group := range []*Group{other, inner} {
		if err := group.Kill(t.Context()); err != nil {
			t.Error(err)
		}
		if err := group.Close(); err != nil {
			t.Error(err)
		}
	}
}
