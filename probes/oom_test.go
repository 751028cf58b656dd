package probes

import (
	"errors"
	"fmt"
	"os/exec"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"cellwall/runtime/cgroup"
)

const (
	hogLimit = 16 << 20
	hogWants = 64 << 20
)

// overLimit runs a helper in g that wants more than there is, and returns its pid.
func overLimit(t testing.TB, g *cgroup.Group) int {
	c := inGroup(t, g, "touch", fmt.Sprint(hogWants))
	err := c.Run()
	var status *exec.ExitError
	if !errors.As(err, &status) || status.Sys().(syscall.WaitStatus).Signal() != unix.SIGKILL {
		t.Errorf("the helper was not killed: %v", err)
		return 0
	}
	return c.Process.Pid
}

// kills counts OOM kills by cgroup and victim, and what the probe said of their end.
func kills(events []Event) (by map[[2]uint64]int, ends map[Kind]int) {
	by, ends = map[[2]uint64]int{}, map[Kind]int{}
	for _, e := range events {
		if e.Kind == OOMKill {
			by[[2]uint64{e.Cgroup, uint64(e.Pid)}]++ // a pid
		} else {
			ends[e.Kind]++
		}
	}
	return by, ends
}

func TestEveryOOMKillIsSeenOnce(t *testing.T) { killInARow(t, 500, Options{}) }

func TestOOMKillsOnEveryRung(t *testing.T) {
	onRungs(t, []Rung{RawTracepoint}, func(t *testing.T, o Options) { killInARow(t, 20, o) })
}

func TestOOMKillsInFiles(t *testing.T) {
	needRoot(t)
	const times = 3
	g := newGroup(t, "oom", cgroup.Limits{MemoryMax: hogLimit})
	p := open(t, "oom", g, Options{Rungs: []Rung{Files}})
	events := gather(t, p, func() {
		for range times {
			overLimit(t, g)
		}
	})
	var seen uint64
	for _, e := range events {
		seen += e.Count
	}
	if seen != times {
		t.Errorf("%d kills seen of %d: %+v", seen, times, events)
	}
}

func killInARow(t *testing.T, times int, o Options) {
	t.Helper()
	needRoot(t)
	g := newGroup(t, "oom", cgroup.Limits{MemoryMax: hogLimit})
	id, err := CgroupID(g.Path("memory"))
	if err != nil {
		t.Fatal(err)
	}
	p := programs(t, "oom", g, o)
	var pids []int
	events := gather(t, p, func() {
		for range times {
			pids = append(pids, overLimit(t, g))
		}
	})
	by, ends := kills(events)
	for _, pid := range pids {
		if n := by[[2]uint64{id, uint64(pid)}]; n != 1 { // a pid
			t.Errorf("victim %d was seen %d times", pid, n)
		}
	}
	// The kernel lets go of a task an RCU grace period after its parent has waited for it: the last
	// ones may do so too late for this test.
	if len(by) != times || ends[OOMExit] != times || ends[OOMReleased] > times || ends[OOMReleased] < times/2 {
		t.Errorf("%d kills seen of %d, and then %v", len(by), times, ends)
	}
	for _, e := range events {
		if e.Kind == OOMKill && (e.By != id || e.Watched != id || e.Pages == 0 || e.Comm == "") {
			t.Fatalf("event says too little: %+v", e)
		}
	}
	if total, err := p.Total(g.Path("memory")); err != nil || total.Count != uint64(times) {
		t.Errorf("total %+v, %v", total, err)
	}
	if file, err := g.Events(); err != nil || file.Memory.OOMKill != uint64(times) {
		t.Errorf("the cgroup's file says %+v, %v", file.Memory, err)
	}
	t.Logf("%s: %d kills, then %v; the first: %+v", p.Rung(), len(by), ends, events[0])
}

func TestOOMKillsAtOnceHaveTheirOwnCgroups(t *testing.T) {
	needRoot(t)
	const groups = 50
	all := make([]*cgroup.Group, groups)
	var o Options
	for i := range all {
		all[i] = newGroup(t, fmt.Sprintf("oom-%d", i), cgroup.Limits{MemoryMax: hogLimit})
		o.Cgroups = append(o.Cgroups, all[i].Path("memory"))
	}
	p := programs(t, "oom", nil, o)
	pids := make([]int, groups)
	events := gather(t, p, func() {
		var running sync.WaitGroup
		for i, g := range all {
			running.Go(func() { pids[i] = overLimit(t, g) })
		}
		running.Wait()
	})
	by, _ := kills(events)
	if len(by) != groups {
		t.Errorf("%d kills seen of %d", len(by), groups)
	}
	for i, g := range all {
		id, err := CgroupID(g.Path("memory"))
		if err != nil {
			t.Fatal(err)
		}
		if n := by[[2]uint64{id, uint64(pids[i])}]; n != 1 { // a pid
			t.Errorf("victim %d of group %d was seen %d times in it", pids[i], i, n)
		}
	}
}

// The limit may be that of a group above, and the task that hits it in another one below.
func TestOOMKillBelowAWatchedCgroup(t *testing.T) {
	needRoot(t)
	above := newGroup(t, "above", cgroup.Limits{MemoryMax: hogLimit})
	below, err := above.Create("below", cgroup.Limits{Controllers: []string{"memory"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = below.Close() })
	id, err := CgroupID(below.Path("memory"))
	if err != nil {
		t.Fatal(err)
	}
	watched, err := CgroupID(above.Path("memory"))
	if err != nil {
		t.Fatal(err)
	}
	p := programs(t, "oom", above, Options{})
	events := gather(t, p, func() { overLimit(t, below) })
	if len(events) == 0 || events[0].Kind != OOMKill || events[0].Cgroup != id || events[0].Watched != watched {
		t.Errorf("cgroup %d below %d: %+v", id, watched, events)
	}
}
