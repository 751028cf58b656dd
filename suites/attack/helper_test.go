package attack

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The helper waits for the end of its input and tells whether it is root.
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
	want := 1
	if os.Geteuid() == 0 {
		want = 0
	}
	if got := cmd.ProcessState.ExitCode(); got != want {
		t.Errorf("%v for uid %d, want exit status %d", cmd.ProcessState, os.Geteuid(), want)
	}
}
