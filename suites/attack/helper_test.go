package attack

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// The helper says that it runs, waits for the end of its input and tells whether it is root.
func TestHelper(t *testing.T) {
	path := filepath.Join(t.TempDir(), "helper")
	if err := os.WriteFile(path, Helper(), 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	cmd.Stdout = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// While it waits it is there, and no zombie.
	if _, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", cmd.Process.Pid)); err != nil {
		t.Error(err)
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if said.Len() != 1 {
		t.Errorf("it wrote %d bytes, want 1", said.Len())
	}
	want := 1
	if os.Geteuid() == 0 {
		want = 0
	}
	if got := cmd.ProcessState.ExitCode(); got != want {
		t.Errorf("%v for uid %d, want exit status %d", cmd.ProcessState, os.Geteuid(), want)
	}
}

// TestStartHelper: a helper that was started has executed, however long that takes: with many descriptors to
// close behind those by which os/exec learns of it.
func TestStartHelper(t *testing.T) {
	path := filepath.Join(t.TempDir(), "helper")
	if err := os.WriteFile(path, Helper(), 0o700); err != nil {
		t.Fatal(err)
	}
	const many, behind, runs = 10_000, 1000, 30
	for range many {
		fd, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, behind)
		if err != nil {
			break // the limit
		}
		defer unix.Close(fd) //nolint:errcheck // nothing was written
	}
	f, err := newFamily()
	if err != nil {
		t.Fatal(err)
	}
	for range runs {
		if err := f.startHelper(path); err != nil {
			t.Fatal(err)
		}
		comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", f.started[len(f.started)-1].Process.Pid))
		if err != nil || string(comm) != "helper\n" {
			t.Fatalf("%q, %v", comm, err)
		}
	}
	if err := f.end(); err != nil {
		t.Fatal(err)
	}
}
