package kernel_test

import (
	"errors"
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
)

// TestLockingMemory: the limit is the highest while a program is loaded, and what it was before and after.
func TestLockingMemory(t *testing.T) {
	var was, during, after unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &was); err != nil {
		t.Fatal(err)
	}
	low := unix.Rlimit{Cur: 0, Max: was.Max}
	if err := unix.Prlimit(0, unix.RLIMIT_MEMLOCK, &low, nil); err != nil {
		t.Fatal(err)
	}
	calls := 0
	err := kernel.LockingMemory(func() error {
		if calls++; calls == 1 {
			return fmt.Errorf("load: %w", unix.EPERM)
		}
		return errors.Join(unix.EINVAL, unix.Getrlimit(unix.RLIMIT_MEMLOCK, &during))
	})
	if calls != 2 || !errors.Is(err, unix.EINVAL) || during.Cur < was.Max {
		t.Errorf("%v; the limit is %v while a program is loaded, want %v", err, during.Cur, was.Max)
	}
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &after); err != nil || after != low {
		t.Errorf("%v; it was %v, and is %v", err, low, after)
	}
	if err := unix.Prlimit(0, unix.RLIMIT_MEMLOCK, &was, nil); err != nil {
		t.Error(err)
	}
	for _, want := range []error{nil, unix.ENOMEM} { // nothing that a limit refuses
		calls = 0
		if err := kernel.LockingMemory(func() error { calls++; return want }); calls != 1 || !errors.Is(err, want) {
			t.Errorf("%d calls, %v, want one and %v", calls, err, want)
		}
	}
}
