package core_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"cellwall/runtime/core"
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
			o := f.options
			o.Args = []string{program, "cat", "/usr/f"}
			read, write, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer read.Close() //nolint:errcheck // read-only
			c, err := f.launcher.Create(t.Context(), "cellwall-from", core.Options{Spec: spec.New(r, o), Parent: f.parent, From: from, Stdout: write})
			check(t, write.Close())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { check(t, c.Delete()) }()
			check(t, c.Start(t.Context()))
			var out bytes.Buffer
			if _, err := io.Copy(&out, read); err != nil || out.String() != "from" {
				t.Errorf("got %q, %v, want what lies in the other mount namespace", &out, err)
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
	// The outer goroutine keeps the process's first thread, if it has it, from being used.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	go func() {
		defer close(gone)
		runtime.LockOSThread()
		tid = unix.Gettid()
		if tid == unix.Getpid() {
			ready <- errors.New("on the first thread")
			return
		}
		err := unix.Unshare(unix.CLONE_NEWNS)
		if err == nil {
			err = unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, "")
		}
		if err == nil {
			err = prepare()
		}
		ready <- err
		<-end
	}()
	if err := <-ready; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { close(end); <-gone })
	return fmt.Sprintf("/proc/%d/task/%d/ns/mnt", os.Getpid(), tid)
}
