package attack

import (
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A tree has as many processes as were asked for, and none is left when it has been felled.
func TestGrow(t *testing.T) {
	if err := settle(); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{1, 2, 3, 20} {
		f, err := grow(n)
		if err != nil {
			t.Fatal(err)
		}
		defer f.fell() // also after a failure: what is left would keep the test's output open
		if f.Size != n || f.err() != nil {
			t.Errorf("of %d: %+v", n, f)
		}
		if err := unix.Kill(-f.group, 0); err != nil {
			t.Errorf("of %d: no process group: %v", n, err)
		}
		f.fell()
		if err := unix.Kill(-f.group, 0); !errors.Is(err, unix.ESRCH) {
			t.Errorf("of %d: still there: %v", n, err)
		}
	}
}

// A spinner uses CPU time until its time is up; one that ends does so at once.
func TestTasksEnd(t *testing.T) {
	const spins = 20 * time.Millisecond
	pid, err := startTask(spin, monotonic()+int64(spins), -1)
	if err != nil {
		t.Fatal(err)
	}
	var usage unix.Rusage
	if _, err := unix.Wait4(pid, nil, 0, &usage); err != nil {
		t.Fatal(err)
	}
	if usage.Utime.Nano()+usage.Stime.Nano() == 0 {
		t.Error("the spinner used no CPU time")
	}
	if pid, err = startTask(ends, 0, -1); err != nil {
		t.Fatal(err)
	}
	var status unix.WaitStatus
	if _, err := unix.Wait4(pid, &status, 0, nil); err != nil || !status.Exited() || status.ExitStatus() != 0 {
		t.Errorf("%v, %v", status, err)
	}
}
