package core_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
)

// TestFrom: a container is made of the mounts of another mount namespace than the launcher's,
// at every rung: with a user namespace, which alone could not enter it, and with no mount
// namespace of its own.
func TestFrom(t *testing.T) {
	f := newFixture(t)
	usr := filepath.Join(f.options.Rootfs, "usr")
	from := privateMounts(t, func() error {
		if err := unix.Mount("tmpfs", usr, "tmpfs", 0, "mode=755"); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(usr, "f"), []byte("from"), 0o644) // read by a mapped root
	})
	for _, r := range []spec.Rung{spec.Chroot, spec.Namespaces, spec.Hardened} {
		t.Run(string(r), func(t *testing.T) {
			if out, _ := f.runFrom(t, from, r, nil, "cat", "/usr/f"); out != "from" {
				t.Errorf("got %q, want what lies in the other mount namespace", out)
			}
		})
	}
	if _, err := os.Stat(filepath.Join(usr, "f")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the launcher sees the other namespace's mount: %v", err)
	}
	if theirs, err := os.Readlink(from); err != nil || strings.HasSuffix(theirs, "(deleted)") {
		t.Errorf("the other namespace: %q, %v", theirs, err)
	}
}

// privateMounts prepares a mount namespace on a thread that stays in it until the test's end,
// and returns its file.
func privateMounts(t *testing.T, prepare func() error) string {
	t.Helper()
	ready, end, gone := make(chan error), make(chan struct{}), make(chan struct{})
	var tid int
	go kernel.ThrowAway(func() {
		defer close(gone)
		tid = unix.Gettid()
		err := unix.Unshare(unix.CLONE_NEWNS)
		if err == nil {
			err = unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, "")
		}
		if err == nil {
			err = prepare()
		}
		ready <- err
		<-end
	})
	if err := <-ready; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { close(end); <-gone })
	return fmt.Sprintf("/proc/%d/task/%d/ns/mnt", os.Getpid(), tid)
}
