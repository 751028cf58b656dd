package core_test

import (
	"os"
	"os/signal"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"cellwall/runtime/core"
	"cellwall/runtime/spec"
)

// TestIgnoredSignals: neither a container nor a process that joins it ignores what the launcher does.
func TestIgnoredSignals(t *testing.T) {
	signal.Ignore(unix.SIGHUP, unix.SIGTSTP)
	defer signal.Reset(unix.SIGHUP, unix.SIGTSTP)
	f := newFixture(t)
	c, _ := f.hold(t, spec.Hardened, nil)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()  //nolint:errcheck // the process has it
	defer write.Close() //nolint:errcheck // ends the process
	o := f.options
	o.Args = []string{program}
	p, err := c.Exec(t.Context(), core.DefaultProcess(spec.New(spec.Hardened, o), []string{program, "wait"}), read, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { check(t, p.Close()) }()
	for pid, none := range map[int]bool{os.Getpid(): false, c.Pid(): true, p.Pid(): true} {
		status, err := os.ReadFile("/proc/" + itoa(pid) + "/status")
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(string(status), "SigIgn:\t0000000000000000\n"); got != none {
			t.Errorf("process %d ignores none %v, want %v:\n%s", pid, got, none, status)
		}
	}
}

// TestAffinity: a launcher that keeps to one CPU does not keep its containers there.
func TestAffinity(t *testing.T) {
	f := newFixture(t)
	var all, one, got unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		t.Fatal(err)
	}
	if all.Count() < 2 {
		t.Skip("needs two CPUs")
	}
	for cpu := 0; one.Count() == 0; cpu++ {
		if all.IsSet(cpu) {
			one.Set(cpu)
		}
	}
	o := f.options
	o.Args = []string{program, "exit"}
	c, err := f.launcher.Create(t.Context(), "bound", core.Options{
		Spec: spec.New(spec.Namespaces, o), Parent: f.parent,
		Prepare: func() error { return unix.SchedSetaffinity(0, &one) },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { check(t, c.Delete()) }()
	if err := unix.SchedGetaffinity(c.Pid(), &got); err != nil || got.Count() < all.Count() {
		t.Errorf("it may run on %d CPUs, %v, want %d", got.Count(), err, all.Count())
	}
}
