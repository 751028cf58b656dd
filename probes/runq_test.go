package probes

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"cellwall/runtime/cgroup"
)

// firstCPU is one on which this process may run.
func firstCPU(t testing.TB) int {
	t.Helper()
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		t.Fatal(err)
	}
	for cpu := range 1024 {
		if set.IsSet(cpu) {
			return cpu
		}
	}
	t.Fatal("no CPU")
	return 0
}

// Two spinners on one CPU wait for each other: one waits about as long as the other runs.
func TestWaitsForACPUAreSeen(t *testing.T) { onRungs(t, []Rung{TPBTF, RawTracepoint}, waitForACPU) }

func waitForACPU(t *testing.T, o Options) {
	needRoot(t)
	cpu := fmt.Sprint(firstCPU(t))
	a := newGroup(t, "runq-a", cgroup.Limits{CPUs: cpu, Controllers: []string{"cpu"}})
	b := newGroup(t, "runq-b", cgroup.Limits{CPUs: cpu, Controllers: []string{"cpu"}})
	p := open(t, "runq", a, o)
	const window = 500 * time.Millisecond
	events := gather(t, p, func() {
		other := inGroup(t, b, "spin", "1", (2 * window).String())
		if err := other.Start(); err != nil {
			t.Fatal(err)
		}
		if out, err := inGroup(t, a, "spin", "1", window.String()).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if err := other.Wait(); err != nil {
			t.Fatal(err)
		}
	})
	id, err := CgroupID(b.Path("cpu"))
	if err != nil {
		t.Fatal(err)
	}
	var waited, byOther time.Duration
	for _, e := range events {
		waited += e.Length
		if e.By == id {
			byOther += e.Length
		}
	}
	t.Logf("%s: %d waits, %v, of which %v for the other group", p.Rung(), len(events), waited, byOther)
	// Of the window it had half or less, since the other one wanted as much; on a busy host somebody
	// else had the CPU last most of the time.
	if waited < window/4 || byOther == 0 {
		t.Errorf("it waited %v in all, %v for the other group, in %v", waited, byOther, window)
	}
	total, err := p.Total(a.Path("cpu"))
	if err != nil {
		t.Fatal(err)
	}
	if total.Length != waited || total.Count != uint64(len(events)) {
		t.Errorf("total %+v, events %d of %v", total, len(events), waited)
	}
}

// A task that the CPU limit stops does not wait for a CPU: its waits fit into the time in which nothing was stopped
// on its CPU.
func TestAThrottledTaskDoesNotWait(t *testing.T) {
	needRoot(t)
	const window = time.Second
	limits := quota(10)
	limits.CPUs = fmt.Sprint(firstCPU(t))
	g := newGroup(t, "runq", limits)
	p := open(t, "runq", g, Options{})
	begin := time.Now()
	events := gather(t, p, func() {
		if out, err := inGroup(t, g, "spin", "1", window.String()).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	})
	elapsed, stopped := time.Since(begin), throttled(t, g)
	waited := map[int]time.Duration{} // by pid
	var most time.Duration
	for _, e := range events {
		waited[e.Pid] += e.Length
		most = max(most, waited[e.Pid])
	}
	t.Logf("a task waited %v, and was throttled %v of %v", most, stopped, elapsed)
	if most+stopped > elapsed {
		t.Errorf("a task waited %v, and was throttled for %v of %v", most, stopped, elapsed)
	}
}

// A task that sleeps does not wait for a CPU: no wait is as long as its sleep.
func TestASleepingTaskDoesNotWait(t *testing.T) {
	needRoot(t)
	const window = time.Second
	g := newGroup(t, "sleep", cgroup.Limits{Controllers: []string{"cpu"}})
	p := open(t, "runq", g, Options{})
	events := gather(t, p, func() {
		if out, err := inGroup(t, g, "sleep", "1", window.String()).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	})
	if len(events) == 0 {
		t.Error("it did not even wait to begin")
	}
	for _, e := range events {
		if e.Length >= window {
			t.Errorf("waited %v, while it slept for %v", e.Length, window)
		}
	}
}
