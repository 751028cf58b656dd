package sentinel

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
)

// TestReadOnlySharedMemory: no bait can lie there, and nothing can be said of it.
func TestReadOnlySharedMemory(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: mounts")
	}
	err := kernel.OnThread(func() error {
		if err := errors.Join(unix.Unshare(unix.CLONE_NEWNS), unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")); err != nil {
			return err
		}
		if err := unix.Mount("tmpfs", "/dev/shm", "tmpfs", unix.MS_RDONLY, ""); err != nil {
			return err
		}
		if _, err := SharedMemoryFile(&Stage{Name: "cellwall-test"}); !errors.Is(err, kernel.ErrNotSupported) {
			t.Errorf("got %v, want that it is not supported", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
