package probes

import (
	"testing"

	"cellwall/runtime/cgroup"
)

// A group at its limit reclaims before it is killed.
func TestReclaimIsSeen(t *testing.T) { onRungs(t, []Rung{TPBTF, RawTracepoint}, reclaim) }

func reclaim(t *testing.T, o Options) {
	needRoot(t)
	g := newGroup(t, "reclaim", cgroup.Limits{MemoryMax: hogLimit})
	p := open(t, "reclaim", g, o)
	events := gather(t, p, func() { overLimit(t, g) })
	if len(events) == 0 {
		t.Fatal("nothing seen")
	}
	for _, e := range events {
		if e.Kind != Reclaimed || e.Length <= 0 || e.Pid == 0 {
			t.Fatalf("event says too little: %+v", e)
		}
	}
	t.Logf("%s: %d reclaims; the first: %+v", p.Rung(), len(events), events[0])
}
