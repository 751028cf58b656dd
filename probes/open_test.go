package probes

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"cellwall/runtime/cgroup"
	"cellwall/runtime/kernel"
)

func TestOpenSaysWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		name string
		o    Options
		says string
	}{
		{"sleep", Options{}, "throttle, oom, pids, runq, reclaim, start"},
		{"throttle", Options{Rungs: []Rung{"rope"}}, "no such rung"},
		{"throttle", Options{Rungs: []Rung{Files}}, "named cgroups"},
		{"start", Options{Rungs: []Rung{Files}}, "no file"},
		{"throttle", Options{Rungs: []Rung{Files}, Cgroups: []string{"/nonexistent"}}, "/nonexistent"},
		{"throttle", Options{Rungs: []Rung{Files}, Cgroups: []string{"/"}}, "cpu.stat"},
	} {
		p, err := Open(c.name, c.o)
		if err == nil {
			_ = p.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s %+v: %v", c.name, c.o, err)
		}
	}
}

func TestWithoutCapabilitiesFilesArePolled(t *testing.T) {
	needRoot(t)
	g := newGroup(t, "plain", cgroup.Limits{Controllers: []string{"cpu"}})
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(exe, "65534", g.Path("cpu"))
	c.Env = append(os.Environ(), helperEnv+"=open")
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, want := range []string{"attached files", "tp_btf: ", "operation not permitted"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("says %q, want %q", out, want)
		}
	}
}

// Every watched cgroup is counted by its own id, whatever is above it.
func TestTheNearestWatchedCgroupCounts(t *testing.T) {
	needRoot(t)
	above := newGroup(t, "nested", cgroup.Limits{PidsMax: 30})
	below, err := above.Create("below", cgroup.Limits{PidsMax: 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = below.Close() })
	p := open(t, "pids", above, Options{})
	if err := p.Watch(below.Path("pids")); err != nil {
		t.Fatal(err)
	}
	gather(t, p, func() {
		if out, err := inGroup(t, below, "fork", "5").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	})
	outer, err := p.Total(above.Path("pids"))
	if err != nil || outer.Count != 0 {
		t.Errorf("above: %+v, %v", outer, err)
	}
	inner, err := p.Total(below.Path("pids"))
	if err != nil || inner.Count != 5 {
		t.Errorf("below: %+v, %v", inner, err)
	}
	all, err := p.Totals()
	if err != nil || len(all) != 1 || all[0] != inner {
		t.Errorf("all: %+v, %v", all, err)
	}
	if _, err := p.Total("/"); err == nil {
		t.Error("a directory that is not watched has a total")
	}
	if err := p.Watch("/nonexistent"); !errors.Is(err, os.ErrNotExist) || errors.Is(err, kernel.ErrNotSupported) {
		t.Error(err)
	}
}

// Without a reader the ring buffer fills: what is lost is counted, and totals count all.
func TestLossesAreCounted(t *testing.T) {
	needRoot(t)
	const tries = 2*ringBytes/rawBytes + 1
	g := newGroup(t, "lost", cgroup.Limits{PidsMax: 30})
	p := open(t, "pids", g, Options{Rungs: []Rung{TPBTF}})
	if out, err := inGroup(t, g, "clone", "30", "7000").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	lost, err := p.Lost()
	if err != nil {
		t.Fatal(err)
	}
	total, err := p.Total(g.Path("pids"))
	if err != nil {
		t.Fatal(err)
	}
	if lost.Events == 0 || total.Count < tries {
		t.Errorf("lost %+v of %+v", lost, total)
	}
	ctx, stop := contextDone(t)
	defer stop()
	var read uint64
	for _, err := range p.Events(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		read++
	}
	if read+lost.Events != total.Count {
		t.Errorf("%d read, %d lost, %d in all", read, lost.Events, total.Count)
	}
}

func TestWithoutBTFFilesArePolled(t *testing.T) {
	needRoot(t)
	g := newGroup(t, "nobtf", cgroup.Limits{Controllers: []string{"cpu"}})
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// Hidden in a mount namespace of the helper's own, from which nothing spreads.
	c := exec.Command("/bin/sh", "-c", `mount -t tmpfs none /sys/kernel/btf && exec "$0" "$@"`, exe, "0", g.Path("cpu"))
	c.Env = append(os.Environ(), helperEnv+"=open")
	c.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS, Pdeathsig: unix.SIGKILL}
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, want := range []string{"attached files", "tp_btf: ", "raw_tp: ", "BTF"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("says %q, want %q", out, want)
		}
	}
}
