package judge

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"cellwall/runtime/lease"
)

// ownMounts is set in a process with a mount namespace of its own.
const ownMounts = "CELLWALL_JUDGE_OWN_MOUNTS"

// TestMountsOfOthers: what another program mounts for a moment is not left by a container.
func TestMountsOfOthers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to mount")
	}
	if os.Getenv(ownMounts) == "" {
		c := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
		c.Env = append(os.Environ(), ownMounts+"=1")
		c.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	run, err := NewRun(lease.Default)
	if err != nil {
		t.Fatal(err)
	}
	defer run.Close() //nolint:errcheck // the test is over
	j := &Judge{Run: run}
	before, err := j.census()
	if err != nil {
		t.Fatal(err)
	}
	mount := func(dir string) {
		t.Helper()
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, ""); err != nil {
			t.Fatal(err)
		}
	}
	others, own := t.TempDir(), filepath.Join(run.Dir, "own")
	if err := os.Mkdir(own, 0o700); err != nil {
		t.Fatal(err)
	}
	mount(others)
	time.AfterFunc(passing/20, func() { _ = unix.Unmount(others, 0) })
	if leaks := j.leaks(before); len(leaks) > 0 {
		t.Errorf("what has gone is left: %q", leaks)
	}
	for _, dir := range []string{own, others} {
		mount(dir)
		if leaks := j.leaks(before); len(leaks) != 1 || !strings.Contains(leaks[0], dir) {
			t.Errorf("left are %q, not %s", leaks, dir)
		}
		if err := unix.Unmount(dir, 0); err != nil {
			t.Fatal(err)
		}
	}
}
