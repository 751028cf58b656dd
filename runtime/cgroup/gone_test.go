package cgroup

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"cellwall/runtime/cleanup"
	"cellwall/runtime/kernel"
)

// A parent that somebody has removed is a failure, not a kernel that lacks something.
func TestParentRemoved(t *testing.T) {
	parent := filepath.Join(t.TempDir(), "parent")
	if err := os.Mkdir(parent, 0o700); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(parent, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd) //nolint:errcheck // read-only
	if err := os.Remove(parent); err != nil {
		t.Fatal(err)
	}
	var undo cleanup.Stack
	_, err = (&dir{fd: fd, path: parent}).mkdir("cellwall-x", &undo)
	if !errors.Is(err, unix.ENOENT) || errors.Is(err, kernel.ErrNotSupported) {
		t.Errorf("error %v", err)
	}
}
