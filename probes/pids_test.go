package probes

import (
	"testing"

	"golang.org/x/sys/unix"

	"cellwall/runtime/cgroup"
)

func TestRefusedForksAreSeen(t *testing.T) {
	onRungs(t, Rungs(), refuseForks)
}

func refuseForks(t *testing.T, o Options) {
	needRoot(t)
	const refused = 20
	g := newGroup(t, "pids", cgroup.Limits{PidsMax: 30})
	p := open(t, "pids", g, o)
	events := gather(t, p, func() {
		if out, err := inGroup(t, g, "fork", "20").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	})
	stat, err := g.Events()
	if err != nil {
		t.Fatal(err)
	}
	total, err := p.Total(g.Path("pids"))
	if err != nil {
		t.Fatal(err)
	}
	if total.Count < refused || total.Count != stat.PidsMax || p.Rung() != Files && uint64(len(events)) != total.Count {
		t.Errorf("%d events, total %d, %d refused, the kernel counts %d", len(events), total.Count, refused, stat.PidsMax)
	}
	for _, e := range events {
		if p.Rung() == Files {
			continue
		}
		if e.Call == "" && p.Rung() != FEntry || e.Errno != unix.ErrnoName(unix.EAGAIN) || e.Pid == 0 {
			t.Fatalf("event says too little: %+v", e)
		}
	}
	t.Logf("%s: %+v", p.Rung(), events[0])
}

// Another process's refusals are not the group's.
func TestRefusalsElsewhereAreNotSeen(t *testing.T) {
	needRoot(t)
	watched := newGroup(t, "watched", cgroup.Limits{PidsMax: 30})
	other := newGroup(t, "other", cgroup.Limits{PidsMax: 30})
	p := open(t, "pids", watched, Options{})
	events := gather(t, p, func() {
		if out, err := inGroup(t, other, "fork", "5").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	})
	if len(events) > 0 {
		t.Errorf("seen: %+v", events)
	}
}
