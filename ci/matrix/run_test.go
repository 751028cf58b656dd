package matrix

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"cellwall/ci/kernels"
	"cellwall/ci/vm"
	"cellwall/reports/record"
	"cellwall/reports/render"
)

func plan() []Boot {
	return Plan([]kernels.Kernel{
		{Name: "old", Release: "5.10.0-1", Arch: "amd64"}, {Name: "mid", Release: "6.1.0-1", Arch: "amd64"}, {Name: "new", Release: "7.0.1", Arch: "amd64"},
	}, []string{"v2", "v1"}, []string{"core", "runc"})
}

// boots is a guest that gives two verdicts for each runtime. change may break what it does.
func boots(change func(g vm.Guest, lines []string) ([]string, vm.Result, error)) func(context.Context, vm.Guest) (vm.Result, error) {
	return func(_ context.Context, g vm.Guest) (vm.Result, error) {
		var b bytes.Buffer
		out := record.NewWriter(&b)
		if err := out.Run(record.Run{ID: "cw-7", Kernel: g.Kernel.Release, Asked: 4, Selection: []string{"fs.*"}}); err != nil {
			return vm.Result{}, err
		}
		for _, rt := range []string{"core", "runc"} {
			for _, id := range []string{"fs.a", "fs.b"} {
				v := record.Verdict{Run: "cw-7", Guarantee: id, Group: "fs", Runtime: rt, Rung: "hardened", Outcome: record.Held}
				if id == "fs.b" && g.Kernel.Name == "old" {
					v.Outcome, v.Reason = record.Unsupported, "no call"
				}
				if err := out.Verdict(v); err != nil {
					return vm.Result{}, err
				}
			}
		}
		lines := slices.Collect(strings.Lines(b.String()))
		r, err := vm.Result{Accel: "tcg", Up: 1, Took: 2, Tail: []string{"the end"}}, error(nil)
		if change != nil {
			lines, r, err = change(g, lines)
		}
		for _, line := range lines {
			if _, err := g.Records.Write([]byte(line)); err != nil {
				return r, err
			}
		}
		return r, err
	}
}

func run(t *testing.T, ctx context.Context, j Job) (record.Set, error) {
	t.Helper()
	var b bytes.Buffer
	j.Records = &b
	failed := j.Run(ctx)
	set, err := record.Read("records", &b)
	if err != nil {
		t.Fatal(err)
	}
	return set, failed
}

func tables(t *testing.T, sets ...record.Set) string {
	t.Helper()
	m, err := record.Merge(sets...)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := errors.Join(render.MatrixText(&b, m, render.Text{}), render.MatrixMarkdown(&b, m)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestShardsGiveTheTablesOfOneRun(t *testing.T) {
	whole, err := run(t, t.Context(), Job{Boots: plan(), Boot: boots(nil)})
	if err != nil {
		t.Fatal(err)
	}
	want := tables(t, whole)
	for _, word := range []string{"old", "mid", "new", "fs.b", "no call", "core with cgroup v1", "runc with cgroup v2"} {
		if !strings.Contains(want, word) {
			t.Errorf("no %q in\n%s", word, want)
		}
	}
	for n := 1; n <= 7; n++ {
		var sets []record.Set
		for i := n; i >= 1; i-- { // the order is not what matters
			boots := Shard(plan(), i, n)
			set, err := run(t, t.Context(), Job{Boots: boots, Boot: bootsOnly(boots)})
			if err != nil {
				t.Fatal(err)
			}
			if len(boots) > 0 {
				sets = append(sets, set)
			}
		}
		if got := tables(t, sets...); got != want {
			t.Errorf("%d shards:\n%s\nwant\n%s", n, got, want)
		}
	}
}

// bootsOnly fails where a guest is none of the shard.
func bootsOnly(list []Boot) func(context.Context, vm.Guest) (vm.Result, error) {
	return func(ctx context.Context, g vm.Guest) (vm.Result, error) {
		if !slices.ContainsFunc(list, func(b Boot) bool { return b.Kernel.Name == g.Kernel.Name && b.Cgroup == g.Cgroup }) {
			return vm.Result{}, fmt.Errorf("%s is of another shard", g.Kernel.Name)
		}
		return boots(nil)(ctx, g)
	}
}

func TestOutcomes(t *testing.T) {
	ok := vm.Result{Tail: []string{"the end"}}
	for _, c := range []struct {
		name    string
		change  func(vm.Guest, []string) ([]string, vm.Result, error)
		outcome record.CellOutcome
		reason  string
	}{
		{"booted", func(_ vm.Guest, l []string) ([]string, vm.Result, error) { return l, ok, nil }, record.CellBooted, ""},
		{"lines at once", func(_ vm.Guest, l []string) ([]string, vm.Result, error) {
			return []string{strings.Join(l, "")}, ok, nil
		}, record.CellBooted, ""},
		{"breached", func(_ vm.Guest, l []string) ([]string, vm.Result, error) { return l, vm.Result{Exit: 1}, nil }, record.CellBooted, ""},
		{"notes", func(_ vm.Guest, l []string) ([]string, vm.Result, error) {
			return l, vm.Result{Notes: []string{"no loop", "no veth"}}, nil
		}, record.CellBooted, "no loop; no veth"},
		{"panic", func(_ vm.Guest, _ []string) ([]string, vm.Result, error) {
			return nil, ok, fmt.Errorf("boot: %w", &vm.BootError{Why: "panicked"})
		}, record.KernelFailed, "panicked"},
		{"panic at the end", func(_ vm.Guest, l []string) ([]string, vm.Result, error) {
			return l[:3], ok, &vm.BootError{Why: "hung"}
		}, record.KernelFailed, "hung"},
		{"no qemu", func(vm.Guest, []string) ([]string, vm.Result, error) { return nil, ok, errors.New("no qemu") }, record.WeFailed, "no qemu"},
		{"wrong use", func(g vm.Guest, _ []string) ([]string, vm.Result, error) {
			fmt.Fprint(g.Stderr, "one\ncellwall: ")
			fmt.Fprint(g.Stderr, "wrong use\n")
			return nil, vm.Result{Exit: 2, Tail: ok.Tail}, nil
		}, record.WeFailed, "verify ended with status 2 before it began: cellwall: wrong use"},
		{"too few", func(_ vm.Guest, l []string) ([]string, vm.Result, error) { return l[:4], ok, nil }, record.WeFailed, "verify ended with status 0 after 3 of 4 verdicts"},
		{"too many", func(_ vm.Guest, l []string) ([]string, vm.Result, error) { return append(l, l[4]), ok, nil }, record.WeFailed, "after 5 of 4 verdicts"},
		{"no run", func(_ vm.Guest, l []string) ([]string, vm.Result, error) { return l[1:], ok, nil }, record.WeFailed, "is of no cell"},
		{"two runs", func(_ vm.Guest, l []string) ([]string, vm.Result, error) { return append(l, l[0]), ok, nil }, record.WeFailed, `run "cw-7" after run "cw-7"`},
		{"another's run", func(_ vm.Guest, l []string) ([]string, vm.Result, error) {
			return append(l[:4], strings.Replace(l[4], "cw-7", "cw-8", 1)), ok, nil
		}, record.WeFailed, `run "cw-8" by "runc" is of no cell`},
		{"another's runtime", func(_ vm.Guest, l []string) ([]string, vm.Result, error) {
			return append(l[:4], strings.Replace(l[4], "runc", "moon", 1)), ok, nil
		}, record.WeFailed, `by "moon" is of no cell`},
		{"no record", func(vm.Guest, []string) ([]string, vm.Result, error) { return []string{"moo\n"}, ok, nil }, record.WeFailed, "guest:1: parse record"},
		{"a cell", func(vm.Guest, []string) ([]string, vm.Result, error) {
			return []string{`{"schema":"cellwall/1","kind":"cell","place":1,"of":1,"kernel":"k","cgroup":"v2","runtime":"core","outcome":"booted"}`}, ok, nil
		}, record.WeFailed, "something else than verify"},
	} {
		t.Run(c.name, func(t *testing.T) {
			set, err := run(t, t.Context(), Job{Boots: plan()[:1], Boot: boots(c.change)})
			if err != nil {
				t.Fatal(err)
			}
			for _, cell := range set.Cells[len(set.Cells)-2:] {
				if cell.Outcome != c.outcome || !strings.Contains(cell.Reason, c.reason) || c.reason == "" && cell.Reason != "" {
					t.Errorf("%s: %q, want %s: %q", cell.Outcome, cell.Reason, c.outcome, c.reason)
				}
				if failed := c.outcome != record.CellBooted; failed != reflect.DeepEqual(cell.Tail, ok.Tail) {
					t.Errorf("the console of %s: %q", cell.Outcome, cell.Tail)
				}
			}
		})
	}
}

func TestOneFailureStopsNothing(t *testing.T) {
	set, err := run(t, t.Context(), Job{Boots: plan(), Boot: boots(func(g vm.Guest, l []string) ([]string, vm.Result, error) {
		if g.Kernel.Name == "old" {
			return nil, vm.Result{}, &vm.BootError{Why: "panicked"}
		}
		return l, vm.Result{}, nil
	})})
	if err != nil {
		t.Fatal(err)
	}
	m, err := record.Merge(set)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range m.Cells {
		if want := map[bool]record.CellOutcome{true: record.KernelFailed, false: record.CellBooted}[c.Kernel == "old"]; c.Outcome != want {
			t.Errorf("%s: %s, want %s", &c, c.Outcome, want)
		}
	}
}

func TestInterruptedLeavesTheRestWaiting(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	set, err := run(t, ctx, Job{Boots: plan(), Boot: boots(func(g vm.Guest, l []string) ([]string, vm.Result, error) {
		if g.Kernel.Name == "old" && g.Cgroup == "v1" {
			cancel()
			return l[:2], vm.Result{}, context.Canceled
		}
		return l, vm.Result{}, nil
	})})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	m, err := record.Merge(set)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range m.Cells {
		got = append(got, string(c.Outcome))
	}
	if want := "booted,booted,we failed,we failed" + strings.Repeat(",waiting", 8); strings.Join(got, ",") != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestSideBySide: guests run as many at once as is said and no more, and their tables are those of one after the other.
func TestSideBySide(t *testing.T) {
	whole, err := run(t, t.Context(), Job{Boots: plan(), Boot: boots(nil)})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{1, 2, 3, 7} {
		var now, most atomic.Int32
		var mu sync.Mutex
		last := 0.0
		together := sync.NewCond(&mu)
		set, err := run(t, t.Context(), Job{Boots: plan(), AtOnce: n, Boot: func(ctx context.Context, g vm.Guest) (vm.Result, error) {
			defer now.Add(-1)
			mu.Lock()
			if at := now.Add(1); at > most.Load() {
				most.Store(at)
			}
			together.Broadcast()
			for int(most.Load()) < min(n, len(plan())) {
				together.Wait()
			}
			mu.Unlock()
			return boots(nil)(ctx, g)
		}, Step: func(_ string, _, _ int, share float64) {
			if share < last {
				t.Errorf("%d at once: %v after %v", n, share, last)
			}
			last = share
		}})
		if err != nil || int(most.Load()) != min(n, len(plan())) || last != 1 {
			t.Errorf("%d at once: %v, %d were, and %v is behind", n, err, most.Load(), last)
		}
		if got, want := tables(t, set), tables(t, whole); got != want {
			t.Errorf("%d at once:\n%s\nwant\n%s", n, got, want)
		}
	}
}

// full takes some writes.
type full int

func (f *full) Write(p []byte) (int, error) {
	if *f--; *f < 0 {
		return 0, errors.New("disk full")
	}
	return len(p), nil
}

func TestRecordsThatCannotBeWrittenStopIt(t *testing.T) {
	for n := range 12 {
		left, booted := full(n), 0
		err := (&Job{Boots: plan()[:2], Records: &left, Boot: func(ctx context.Context, g vm.Guest) (vm.Result, error) {
			booted++
			return boots(nil)(ctx, g)
		}}).Run(t.Context())
		if err == nil || !strings.Contains(err.Error(), "disk full") || booted > 1 {
			t.Errorf("after %d records: %v, %d boots", n, err, booted)
		}
	}
}

func TestStep(t *testing.T) {
	var shares []float64
	_, err := run(t, t.Context(), Job{Boots: plan()[:2], Boot: boots(nil), Step: func(what string, boot, of int, share float64) {
		if of != 2 || what != "old with cgroup "+[]string{"v2", "v1"}[boot-1] {
			t.Errorf("%s: %d of %d", what, boot, of)
		}
		shares = append(shares, share)
	}})
	if want := []float64{0, .125, .25, .375, .5, .5, .625, .75, .875, 1}; err != nil || !slices.Equal(shares, want) {
		t.Errorf("%v: %v, want %v", err, shares, want)
	}
}
