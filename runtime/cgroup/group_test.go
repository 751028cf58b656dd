package cgroup

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
)

func TestFreeze(t *testing.T) {
	tree := newTree(t)
	require(t, tree, "freezer")
	g := newGroup(t, tree, Limits{})
	c := start(t, g, "wait")
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
}

// TestFreezeThatIsGivenUp: what was asked to stop goes on.
func TestFreezeThatIsGivenUp(t *testing.T) {
	tree := newTree(t)
	require(t, tree, "freezer")
	g := newGroup(t, tree, Limits{})
	c := start(t, g, "wait")
	c.line(t)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for g.Freeze(ended) == nil { // it was faster than we looked
		if err := g.Thaw(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"cgroup.freeze", "freezer.state"} {
		for _, d := range g.dirs {
			if text, err := d.read(file); err == nil && text != "0" && text != "THAWED" {
				t.Errorf("%s of %s is %s", file, d.path, text)
			}
		}
	}
}

func TestKillForkingTree(t *testing.T) {
	tree := newTree(t)
	require(t, tree, "pids")
	for _, how := range []string{"Kill", "killListed"} {
		g, err := tree.Create(testName(t, ""), Limits{PidsMax: 60, MemoryMax: 512 << 20})
		if err != nil {
			t.Fatal(err)
		}
		c := start(t, g, "bomb")
		c.line(t)
		for { // until it is at the limit
			e, err := g.Events()
			if err != nil {
				t.Fatal(err)
			}
			if e.PidsMax > 0 {
				break
			}
		}
		if err := g.Close(); !errors.Is(err, unix.EBUSY) || !strings.Contains(err.Error(), "processes [") {
			t.Errorf("close of a group with processes: %v", err)
		}
		if how == "Kill" {
			err = g.Kill(t.Context())
		} else {
			err = g.killListed(t.Context()) // as without cgroup.kill
		}
		procs, err2 := g.Procs()
		if err != nil || err2 != nil || len(procs) > 0 {
			t.Errorf("%s: %v, left %v, %v", how, err, procs, err2)
		}
		if err := g.Close(); err != nil {
			t.Errorf("%s: %v", how, err)
		}
		if err := g.Close(); err != nil {
			t.Errorf("second close: %v", err)
		}
	}
}

func TestChildGroup(t *testing.T) {
	tree := newTree(t)
	g := newGroup(t, tree, Limits{PidsMax: 50})
	inner, err := g.Create("inner", Limits{PidsMax: 10})
	if err != nil {
		t.Fatal(err)
	}
	c := start(t, inner, "wait")
	c.line(t)
	procs, err := g.Procs()
	if err != nil || !slices.Contains(procs, c.cmd.Process.Pid) {
		t.Errorf("processes of the outer group: %v, %v", procs, err)
	}
	view, err := Open(c.cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if view.Path("pids") != inner.Path("pids") || view.Name() != "inner" {
		t.Errorf("view of the child: %q", view.Path("pids"))
	}
	if l, err := view.Limits(); err != nil || l.PidsMax != 10 {
		t.Errorf("limits of the view: %+v, %v", l, err)
	}
	if err := view.Kill(t.Context()); !errors.Is(err, errView) {
		t.Errorf("kill through a view: %v", err)
	}
	if err := view.Close(); err != nil {
		t.Error(err)
	}
	if err := inner.Kill(t.Context()); err != nil {
		t.Error(err)
	}
	if err := inner.Close(); err != nil {
		t.Error(err)
	}
}

func TestRemoveLeft(t *testing.T) {
	tree := newTree(t)
	g := newGroup(t, tree, Limits{PidsMax: 20})
	c := start(t, g, "wait")
	c.line(t)
	left, err := FindLeft(g.Name())
	if err != nil || len(left) != len(g.dirs) || left[0] != g.dirs[len(g.dirs)-1].path {
		t.Fatalf("found %v, %v; want %d, v2 first", left, err, len(g.dirs))
	}
	for _, p := range left {
		if err := Remove(p); err != nil {
			t.Error(err)
		}
	}
	if err := c.cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("process in a removed group: %v", err)
	}
	if left, err = FindLeft(g.Name()); err != nil || len(left) != 0 {
		t.Errorf("after removal: %v, %v", left, err)
	}
	if _, err := g.Stat(); err == nil {
		t.Error("statistics of a removed group: no error")
	}
	if err := Remove(g.Path("pids")); err != nil {
		t.Errorf("remove what is gone: %v", err)
	}
	if err := Remove(tree.own[0].path); err == nil {
		t.Error("remove a group that is not cellwall's: no error")
	}
}

func TestDevices(t *testing.T) {
	tree := newTree(t)
	require(t, tree, "devices")
	// /dev/null is 1:3, /dev/zero 1:5, /dev/full 1:7.
	rules := []DeviceRule{
		{Type: "a"},
		{Allow: true, Type: "c", Major: new(int64(1)), Minor: new(int64(3))},
		{Allow: true, Type: "c", Major: new(int64(1)), Minor: new(int64(5))},
		{Type: "c", Major: new(int64(1)), Minor: new(int64(5)), Access: "w"},
	}
	check := func(t *testing.T, g *Group) {
		c := start(t, g, "open", "/dev/null", "/dev/zero", "/dev/full")
		for _, want := range []string{"/dev/null <nil>", "/dev/zero operation not permitted", "/dev/full operation not permitted"} {
			if got := c.line(t); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
	}
	t.Run("own hierarchy", func(t *testing.T) {
		g := newGroup(t, tree, Limits{Devices: rules})
		check(t, g)
	})
	t.Run("BPF program", func(t *testing.T) {
		d := tree.v2()
		if d == nil {
			t.Skip("no v2 hierarchy")
		}
		g := newGroup(t, tree, Limits{})
		only := &Group{name: g.name, dirs: g.dirs[len(g.dirs)-1:], parents: g.parents[len(g.parents)-1:]}
		if err := only.setDevices(rules); err != nil {
			t.Fatal(err)
		}
		only.limits.Devices = rules
		check(t, g)
		if err := only.setDevices(nil); err != nil {
			t.Fatal(err)
		}
		if got := start(t, g, "open", "/dev/full").line(t); got != "/dev/full <nil>" {
			t.Errorf("after detaching: %q", got)
		}
	})
}

func TestUnsupported(t *testing.T) {
	tree := newTree(t)
	if tree.Mode() == V2 {
		t.Skip("everything that Limits has is in v2")
	}
	for name, l := range map[string]Limits{
		"memory.high":      {MemoryHigh: 1 << 20},
		"memory.min":       {MemoryMin: 1 << 20},
		"memory.oom.group": {OOMGroup: true},
		"memory.swap.max":  {SwapMax: new(uint64(0))},
	} {
		_, err := tree.Create(testName(t, ""), l)
		if !errors.Is(err, kernel.ErrNotSupported) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := tree.Require("memory", "rdma"); !errors.Is(err, kernel.ErrNotSupported) || !strings.Contains(err.Error(), "rdma") {
		t.Errorf("require rdma: %v", err)
	}
}

func TestCreateRefusesNames(t *testing.T) {
	tree := newTree(t)
	g := newGroup(t, tree, Limits{})
	for _, name := range []string{"", ".", "..", "a/b", "a\nb", g.Name()} {
		if _, err := tree.Create(name, Limits{}); err == nil {
			t.Errorf("made a group %q", name)
		}
	}
}
