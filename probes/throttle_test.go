package probes

import (
	"fmt"
	"math"
	"testing"
	"time"

	"cellwall/runtime/cgroup"
)

// throttled is what the kernel's own file says.
func throttled(t testing.TB, g *cgroup.Group) time.Duration {
	t.Helper()
	stat, err := g.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(stat.CPU.ThrottledUsec) * time.Microsecond
}

// throttledApart is how far the probe and cpu.stat may lie apart.
const throttledApart = 0.005

func TestThrottledTimeIsTheKernels(t *testing.T) {
	for _, percent := range []int{5, 20, 50, 150} {
		for _, threads := range []int{1, 2, 8} {
			t.Run(fmt.Sprintf("%d percent, %d threads", percent, threads), func(t *testing.T) { compareThrottled(t, percent, threads, Options{}) })
		}
	}
}

func TestThrottledTimeOnEveryRung(t *testing.T) {
	onRungs(t, []Rung{RawTracepoint, Files}, func(t *testing.T, o Options) { compareThrottled(t, 20, 2, o) })
}

// compareThrottled lets threads spin in a group with a quota in percent of a CPU, and compares
// what the probe saw with what the kernel counted.
func compareThrottled(t *testing.T, percent, threads int, o Options) {
	t.Helper()
	needRoot(t)
	const window = time.Second
	g := newGroup(t, "throttle", quota(percent))
	p := open(t, "throttle", g, o)
	events := gather(t, p, func() {
		if out, err := inGroup(t, g, "spin", fmt.Sprint(threads), window.String()).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	})
	var sum time.Duration
	for _, e := range events {
		sum += e.Length
	}
	kernel, apart := throttled(t, g), 0.0
	if sum > 0 || kernel > 0 {
		apart = float64(sum-kernel) / float64(max(sum, kernel))
	}
	t.Logf("%s: %d episodes, %v; the kernel's %v (%+.4f %%)", p.Rung(), len(events), sum, kernel, 100*apart)
	if math.Abs(apart) > throttledApart {
		t.Errorf("the probe's %v and the kernel's %v are %.2f %% apart", sum, kernel, 100*apart)
	}
	if percent <= 20 && kernel == 0 { // more than that it may not get on a busy host
		t.Error("it was not throttled")
	}
	total, err := p.Total(g.Path("cpu"))
	if err != nil {
		t.Fatal(err)
	}
	if total.Length != sum || p.Rung() != Files && total.Count != uint64(len(events)) {
		t.Errorf("total %d of %v, events %d of %v", total.Count, total.Length, len(events), sum)
	}
}
