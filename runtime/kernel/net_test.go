package kernel

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// TestLoopbackOfANewNamespace: it is down there.
func TestLoopbackOfANewNamespace(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes a network namespace")
	}
	err := OnThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		return loopback()
	})
	if CauseOf(err) != NotSetUp {
		t.Errorf("got %v, want that it is not set up", err)
	}
}
