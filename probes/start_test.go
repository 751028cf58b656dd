package probes

import (
	"os"
	"os/exec"
	"slices"
	"testing"
)

// The steps of unshare(1) and what it runs, in their order; our own calls are not among them.
func TestTheStepsOfAStartAreSeen(t *testing.T) {
	onRungs(t, []Rung{FEntry, TPBTF, RawTracepoint}, followStart)
}

func followStart(t *testing.T, o Options) {
	needRoot(t)
	path, err := exec.LookPath("unshare")
	if err != nil {
		t.Skip("unshare is not installed")
	}
	o.Root = os.Getpid()
	p := open(t, "start", nil, o)
	var pid int
	events := gather(t, p, func() {
		c := exec.Command(path, "--mount", "--uts", "--fork", "true")
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		pid = c.Process.Pid
	})
	var steps []string
	for _, e := range events {
		if e.Pid == os.Getpid() {
			t.Errorf("our own call: %+v", e)
		}
		if e.Pid == pid || len(steps) > 0 {
			steps = append(steps, e.Call)
		}
	}
	t.Logf("%s: %v", p.Rung(), steps)
	at := 0
	for _, want := range []string{"execve", "unshare", "clone", "execve", "exit", "exit"} {
		i := slices.Index(steps[at:], want)
		if i < 0 {
			t.Fatalf("no %s after step %d of %v", want, at, steps)
		}
		at += i + 1
	}
}

// Every rung tells the same steps. Most shells vfork for a command that is not their last.
func TestRungsTellTheSameSteps(t *testing.T) {
	needRoot(t)
	if err := exec.Command("/bin/true").Run(); err != nil { // the first that a program of Go starts is a trial of its own
		t.Fatal(err)
	}
	var told []string // by the first rung that this kernel has
	onRungs(t, []Rung{TPBTF, RawTracepoint, FEntry}, func(t *testing.T, o Options) {
		o.Root = os.Getpid()
		p := open(t, "start", nil, o)
		events := gather(t, p, func() {
			if out, err := exec.Command("/bin/sh", "-c", "cd /; sleep 0; umask 077").CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		})
		began := map[int]int{} // process -> how many began before it: the two run side by side
		for _, e := range events {
			if _, ok := began[e.Pid]; !ok {
				began[e.Pid] = len(began)
			}
		}
		slices.SortStableFunc(events, func(a, b Event) int { return began[a.Pid] - began[b.Pid] })
		var steps []string
		for _, e := range events {
			steps = append(steps, e.Call+" "+e.Errno)
			if forks := []string{"fork", "vfork", "clone", "clone3"}; slices.Contains(forks, e.Call) && e.Length <= 0 {
				t.Errorf("%+v took no time", e)
			}
		}
		t.Logf("%q", steps)
		if told == nil {
			told = steps
		}
		if len(steps) < 5 || !slices.Equal(steps, told) {
			t.Errorf("%s tells %q, another rung %q", p.Rung(), steps, told)
		}
	})
}
