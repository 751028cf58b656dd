package cgroup

import (
	"errors"
	"sync"
	"testing"
)

// TestCloseWaitsForNobody: what is reading when a group is closed goes on reading this group, and
// no other that has got its descriptor; who comes later is told.
func TestCloseWaitsForNobody(t *testing.T) {
	g := fakeGroup(t, v2Files())
	g.view = true
	d := g.dirs[0]
	if err := g.use(); err != nil {
		t.Fatal(err)
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := d.read("pids.max"); err != nil {
		t.Errorf("a read that had begun: %v", err)
	}
	_, statErr := g.Stat()
	_, eventsErr := g.Events()
	_, limitsErr := g.Limits()
	_, procsErr := g.Procs()
	_, joinErr := g.Join()
	_, createErr := g.Create("cellwall-x", Limits{})
	for name, err := range map[string]error{
		"stat": statErr, "events": eventsErr, "limits": limitsErr, "procs": procsErr, "join": joinErr, "create": createErr, "add": g.Add(2),
	} {
		if !errors.Is(err, errClosed) {
			t.Errorf("%s of a closed group: %v", name, err)
		}
	}
	if p, h := g.Path("memory"), g.Hierarchies(); p != "" || h != nil {
		t.Errorf("a closed group is at %q, %v", p, h)
	}
	g.release()
	if d.fd >= 0 {
		t.Error("the descriptor is still open")
	}
}

// TestUseBesideClose is for the race detector.
func TestUseBesideClose(t *testing.T) {
	tree := newTree(t)
	g, err := tree.Create("cellwall-beside", Limits{})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for {
				_, err := g.Stat()
				if errors.Is(err, errClosed) {
					return
				}
				_ = g.Kill(t.Context())
			}
		})
	}
	if err := g.Close(); err != nil {
		t.Error(err)
	}
	all.Wait()
}
