package judge

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/reports/record"
	"cellwall/runtime/lease"
	"cellwall/runtime/spec"
	"cellwall/suites/guarantee"
)

// ownMounts is set in a process with a mount namespace of its own.
const ownMounts = "CELLWALL_JUDGE_OWN_MOUNTS"

// hasOwnMounts runs the calling test once more in a mount namespace of its own, and reports whether this is
// that process.
func hasOwnMounts(t *testing.T) bool {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to mount")
	}
	if os.Getenv(ownMounts) != "" {
		return true
	}
	c := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	c.Env = append(os.Environ(), ownMounts+"=1")
	c.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return false
}

// TestMountThatStays: a mount that the trials leave again is theirs, and any other is not.
func TestMountThatStays(t *testing.T) {
	if !hasOwnMounts(t) {
		return
	}
	run, err := NewRun(lease.Default)
	if err != nil {
		t.Fatal(err)
	}
	defer run.Close() //nolint:errcheck // the test is over
	i := slices.IndexFunc(guarantee.All(), func(g *guarantee.Guarantee) bool { return g.ID == "uts.hostname-host" })
	for _, c := range []struct {
		name       string
		containers int  // that leave a mount: they are three, and three again
		fail       bool // the others do not begin
		outcome    record.Outcome
		leaks      int
	}{
		{name: "one", containers: 1, outcome: record.Held},
		{name: "the first three", containers: 3, outcome: record.Held},
		{name: "one more", containers: 4, outcome: record.Inconclusive, leaks: 3},
		{name: "the first three, and then none begins", containers: 3, fail: true, outcome: record.Inconclusive, leaks: 3},
	} {
		var made atomic.Int64
		rt := changing{run.Core, func(s *specs.Spec) {
			if made.Add(1) > int64(c.containers) {
				if c.fail {
					s.Process.Args = []string{"/nothing"}
				}
				return
			}
			dir := t.TempDir()
			if err := unix.Mount("tmpfs", dir, "tmpfs", 0, ""); err != nil {
				t.Error(err)
			}
			t.Cleanup(func() { _ = unix.Unmount(dir, 0) })
		}}
		v := (&Judge{Run: run, Runtime: rt}).Check(t.Context(), guarantee.All()[i], spec.Hardened)
		if v.Outcome != c.outcome || len(v.Leaks) != c.leaks {
			t.Errorf("%s: %s: %s %q", c.name, v.Outcome, v.Reason, v.Leaks)
		}
	}
}

// TestMountsOfOthers: what another program mounts for a moment is not left by a container.
func TestMountsOfOthers(t *testing.T) {
	if !hasOwnMounts(t) {
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
