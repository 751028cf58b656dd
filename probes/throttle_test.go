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
	c := counted{group: g}
	var events []Event
	agree(t, func() error {
		events = append(events, gather(t, p, func() {
			if out, err := inGroup(t, g, "spin", fmt.Sprint(threads), window.String()).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		})...)
		probe, kernel := c.since(t, p)
		apart := 0.0
		if probe > 0 || kernel > 0 {
			apart = float64(probe-kernel) / float64(max(probe, kernel))
		}
		t.Logf("%s: %v, the kernel's %v (%+.4f %%)", p.Rung(), probe, kernel, 100*apart)
		if math.Abs(apart) > throttledApart {
			return fmt.Errorf("the probe's %v and the kernel's %v are %.2f %% apart", probe, kernel, 100*apart)
		}
		return nil
	})
	if percent == 5 && c.kernel == 0 { // more than that it may not get on a busy host
		t.Error("it was not throttled")
	}
	toldOnce(t, events)
	var sum time.Duration
	for _, e := range events {
		sum += e.Length
	}
	total, err := p.Total(g.Path("cpu"))
	if err != nil {
		t.Fatal(err)
	}
	if total.Length != sum || p.Rung() != Files && total.Count != uint64(len(events)) {
		t.Errorf("total %d of %v, events %d of %v", total.Count, total.Length, len(events), sum)
	}
}

// agree fails if a comparison of the probe with the kernel goes wrong three times in a row. A kernel may refuse to
// run a program: then the end of an episode is seen late, in one window of many (docs/probes.md).
func agree(t *testing.T, compare func() error) {
	t.Helper()
	var err error
	for range 3 {
		if err = compare(); err == nil {
			return
		}
	}
	t.Error(err)
}

// counted is what the probe and the kernel have counted of a group.
type counted struct {
	group         *cgroup.Group
	probe, kernel time.Duration
}

// since returns what the two counted since the last time. Nothing may run in the group any more, so that no episode
// is open.
func (c *counted) since(t *testing.T, p *Probe) (probe, kernel time.Duration) {
	t.Helper()
	total, err := p.Total(c.group.Path("cpu"))
	if err != nil {
		t.Fatal(err)
	}
	before := *c
	c.probe, c.kernel = total.Length, throttled(t, c.group)
	return c.probe - before.probe, c.kernel - before.kernel
}

// toldOnce fails if an episode was told twice: two programs may see its end at a time.
func toldOnce(t *testing.T, events []Event) {
	t.Helper()
	type begin struct {
		cgroup uint64
		cpu    int
		at     int64
	}
	told := map[begin]bool{}
	for _, e := range events {
		b := begin{cgroup: e.Cgroup, cpu: e.CPU, at: e.At.UnixNano()}
		if told[b] {
			t.Errorf("told twice: %+v", e)
		}
		told[b] = true
	}
}
