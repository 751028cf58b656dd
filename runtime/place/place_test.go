package place

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"cellwall/runtime/cgroup"
	"cellwall/runtime/kernel"
	"cellwall/runtime/lease"
)

const (
	tasks  = 100
	memory = 64 << 20
)

func TestPlace(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes cgroups")
	}
	const careful = 0o077
	defer unix.Umask(unix.Umask(careful))
	p, err := Take(t.TempDir(), tasks, memory)
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{p.Dir, p.Lease} {
		info, err := os.Stat(dir)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o755 {
			t.Errorf("%s is %v: a mapped root must pass", dir, info.Mode())
		}
	}
	got, err := p.Fence.Limits()
	if err != nil || got.PidsMax != tasks || got.MemoryMax != memory {
		t.Errorf("the fence has %+v, %v", got, err)
	}
	if o := p.Options; o.HostID < firstBlock || o.IDCount != IDCount || SpareIDs < IDCount || SpareIDs+IDCount > idBlock {
		t.Errorf("ids from %d, %d of them, spare ones %d above", o.HostID, o.IDCount, SpareIDs)
	}
	program, err := p.CopySelf("program")
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(program); err != nil || info.Mode().Perm()&0o111 != 0o111 || filepath.Dir(program) != p.Dir {
		t.Errorf("%s: %v, %v", program, info, err)
	}
	if err := CopyProgram(program, program); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a file was written over: %v", err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if now := unix.Umask(careful); now != careful {
		t.Errorf("the umask is %04o in the end", now)
	}
	for _, dir := range []string{p.Dir, p.Lease} {
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there: %v", dir, err)
		}
	}
	if left, err := cgroup.FindLeft(p.Name); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestOnTmpfs: a directory of ours is made only where it can be, and where what lies in it runs.
func TestOnTmpfs(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: mounts")
	}
	dir := t.TempDir()
	err := kernel.OnThread(func() error {
		if err := errors.Join(unix.Unshare(unix.CLONE_NEWNS), unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")); err != nil {
			return err
		}
		for flags, want := range map[uintptr]bool{0: true, unix.MS_NOSUID | unix.MS_NODEV: true, unix.MS_NOEXEC: false, unix.MS_RDONLY: false} {
			if err := unix.Mount("tmpfs", dir, "tmpfs", flags, ""); err != nil {
				return err
			}
			if got := onTmpfs(dir); got != want {
				t.Errorf("with flags %#x: %t", flags, got)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestHardLimits: those of a shell do not bind containers, and are the process's own again in the end.
func TestHardLimits(t *testing.T) {
	if held, err := kernel.HeldCapabilities(); err != nil || !slices.Contains(held, "CAP_SYS_RESOURCE") {
		t.Skip("needs CAP_SYS_RESOURCE: raises hard limits")
	}
	var was, during, after unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &was); err != nil {
		t.Fatal(err)
	}
	low := unix.Rlimit{}
	p := &Place{}
	err := errors.Join(
		unix.Prlimit(0, unix.RLIMIT_CORE, &low, nil), p.raiseHardLimits(), unix.Getrlimit(unix.RLIMIT_CORE, &during),
		p.Undo.Close(), unix.Getrlimit(unix.RLIMIT_CORE, &after), unix.Prlimit(0, unix.RLIMIT_CORE, &was, nil),
	)
	if err != nil || during != (unix.Rlimit{Max: unix.RLIM_INFINITY}) || after != low {
		t.Errorf("%v: with a limit of %v it was %v, and then %v", err, low, during, after)
	}
}

// groupsOfNobody are those with the name of a lease that no other test or run of cellwall has.
func groupsOfNobody(t *testing.T) []string {
	t.Helper()
	groups, err := cgroup.FindLeft(cgroup.Prefix)
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(groups, func(path string) bool {
		name := lease.Of(filepath.Base(path))
		if name == "" {
			return true
		}
		living, err := lease.Living(lease.Default, name)
		if err != nil {
			t.Fatal(err)
		}
		return living
	})
}

// A fence that is not what was asked for is none, and nothing is left of it.
func TestFenceThatDoesNotHold(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes cgroups")
	}
	before := groupsOfNobody(t)
	dir := t.TempDir()
	p, err := Take(dir, tasks, memory+1) // the kernel counts pages
	if p != nil || err == nil || !strings.Contains(err.Error(), "memory") {
		t.Fatalf("%v, %v", p, err)
	}
	if after := groupsOfNobody(t); len(after) > len(before) {
		t.Errorf("left behind: %v, before %v", after, before)
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) > 1 { // the leases' own lock may stay
		t.Errorf("left behind: %v, %v", list, err)
	}
}
