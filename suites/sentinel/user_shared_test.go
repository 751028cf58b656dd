package sentinel

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
)

// TestGainable asks before and after a thread has given up all gain.
func TestGainable(t *testing.T) {
	var before, after error
	if err := kernel.OnThread(func() error {
		before = gainable()
		err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
		after = gainable()
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if before != nil && !errors.Is(before, kernel.ErrNotSupported) || !errors.Is(after, kernel.ErrNotSupported) {
		t.Errorf("before %v, after %v", before, after)
	}
}
