package probes

import (
	"os"
	"os/exec"
	"slices"
	"testing"
)

// The steps of unshare(1) and what it runs, in their order; our own calls are not among them.
func TestTheStepsOfAStartAreSeen(t *testing.T) { onRungs(t, []Rung{TPBTF, RawTracepoint}, followStart) }

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
