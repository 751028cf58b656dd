package cgroup

import (
	"errors"
	"testing"
	"time"

	"cellwall/runtime/kernel"
)

// A host that has only v1: the same tree, seen without its v2 hierarchy.
func TestV1Alone(t *testing.T) {
	tree := newTree(t)
	require(t, tree, "freezer", "pids")
	v1 := &Tree{mode: V1}
	for _, d := range tree.own {
		if !d.v2 {
			v1.own = append(v1.own, d)
		}
	}
	if v1.dir("freezer") == nil || v1.dir("pids") == nil {
		t.Skip("no v1 freezer and pids hierarchies")
	}
	if _, err := v1.Create(testName(t, ""), Limits{MaxDepth: new(uint64(0))}); !errors.Is(err, kernel.ErrNotSupported) {
		t.Errorf("cgroup.max.depth: %v", err)
	}
	g := newGroup(t, v1, Limits{PidsMax: 60})
	left, err := FindLeft(g.Name())
	if err != nil || len(left) != len(g.dirs) || left[0] != g.dir("freezer").path {
		t.Errorf("found %v, %v: want the freezer first", left, err)
	}
	if j, err := g.Join(); err != nil || j.Into != -1 || len(j.Tasks) != len(g.dirs) {
		t.Errorf("join %+v, %v", j, err)
	}
	c := start(t, g, "bomb")
	c.line(t)
	for _, want := range []bool{true, false} {
		var err error
		if want {
			err = g.Freeze(t.Context())
		} else {
			err = g.Thaw(t.Context())
		}
		e, err2 := g.Events()
		if err != nil || err2 != nil || e.Frozen != want || !e.Populated {
			t.Errorf("want frozen %v: %+v, %v, %v", want, e, err, err2)
		}
	}
	for {
		e, err := g.Events()
		if err != nil {
			t.Fatal(err)
		}
		if e.PidsMax > 0 {
			break
		}
	}
	if err := g.Freeze(t.Context()); err != nil { // also what is frozen must die
		t.Fatal(err)
	}
	if err := g.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	e, err := g.Events()
	if err != nil || e.Populated || e.Frozen {
		t.Errorf("after the kill: %+v, %v", e, err)
	}
}

// TestQuotaBetweenLimits: v1 takes a quota and a period one after the other, and refuses what is
// above the parent's ratio, or below a child's, also in between.
func TestQuotaBetweenLimits(t *testing.T) {
	tree := newTree(t)
	require(t, tree, "cpu")
	tenth := 100 * time.Millisecond
	parent := newGroup(t, tree, Limits{CPUMax: CPUMax{Quota: tenth, Period: tenth}})
	g, err := parent.Create("between", Limits{CPUMax: CPUMax{Quota: tenth / 2, Period: tenth}})
	if err != nil {
		t.Fatal(err)
	}
	defer closeGroup(t, g)
	child, err := g.Create("below", Limits{CPUMax: CPUMax{Quota: tenth / 2, Period: tenth}})
	if err != nil {
		t.Fatal(err)
	}
	defer closeGroup(t, child)
	for _, c := range []CPUMax{
		{Quota: tenth / 20, Period: tenth / 10},
		{Quota: tenth / 2, Period: tenth},
		{Quota: tenth / 10, Period: tenth / 10},
		{},
		{Quota: tenth / 20, Period: tenth / 10},
		{Period: tenth},
	} {
		if err := g.Set(Limits{CPUMax: c}); err != nil {
			t.Errorf("to %+v: %v", c, err)
		}
	}
}
