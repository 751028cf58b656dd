package lease_test

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
	"cellwall/runtime/lease"
)

// TestMain is also a process that holds a lease until it is killed.
func TestMain(m *testing.M) {
	if parent := os.Getenv("LEASE_PARENT"); parent != "" {
		l, err := lease.Take(parent)
		if err != nil {
			panic(err)
		}
		os.Stdout.WriteString(l.Name + "\n")
		_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func TestKilledHolderIsLeft(t *testing.T) {
	parent := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), "LEASE_PARENT="+parent)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close() //nolint:errcheck // the process is killed
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	name, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	name = name[:len(name)-1]
	if left, err := lease.Left(parent); err != nil || len(left) != 0 {
		t.Errorf("while it lives: left %v, %v", left, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if left, err := lease.Left(parent); err != nil || !slices.Equal(left, []string{name}) {
		t.Errorf("after SIGKILL: left %v, %v, want %s", left, err, name)
	}
}

func TestCloseLeavesNothing(t *testing.T) {
	parent := t.TempDir()
	l, err := lease.Take(parent)
	if err != nil {
		t.Fatal(err)
	}
	if alive, err := lease.Living(parent, l.Name); !alive || err != nil {
		t.Errorf("held: alive %v, %v", alive, err)
	}
	for range 2 {
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if entries, err := os.ReadDir(parent); err != nil || len(entries) != 0 {
		t.Errorf("closed: %v, %v", entries, err)
	}
}

func TestOf(t *testing.T) {
	for object, want := range map[string]string{
		"cellwall-abcdefgpun": "cellwall-abcdefgpun", "cellwall-abcdefgpun-7": "cellwall-abcdefgpun",
		"cellwall-abcdefgpun-7-x": "cellwall-abcdefgpun", "cellwall-nightly.service": "", "cellwall-backups12": "", "cellwall-benchmarks": "", "cellwall-abcdefgpuo": "", "cellwall-abcdefg": "", "cellwall-abcdefgpunx": "",
		"cellwall-abc": "", "cellwall-": "", "cellwal": "", "": "", "other-abcdefgpun": "",
	} {
		if got := lease.Of(object); got != want {
			t.Errorf("Of(%q) = %q, want %q", object, got, want)
		}
	}
}

// TestUnrestricted mounts what systemd mounts.
func TestUnrestricted(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: mounts")
	}
	own, memory, disk := t.TempDir(), t.TempDir(), t.TempDir()
	err := kernel.OnThread(func() error {
		if err := errors.Join(unix.Unshare(unix.CLONE_NEWNS), unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")); err != nil {
			return err
		}
		for _, c := range []struct {
			on    string
			flags uintptr
			want  string
		}{
			{on: own, want: own},
			{on: memory, want: own},
			{on: disk, want: own},
			{on: own, flags: unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, want: filepath.Join(memory, "cellwall-test")},
			{on: memory, flags: unix.MS_NOSUID | unix.MS_NODEV, want: filepath.Join(disk, "cellwall-test")},
			{on: disk, flags: unix.MS_NODEV, want: own},
		} {
			if err := unix.Mount("tmpfs", c.on, "tmpfs", c.flags, ""); err != nil {
				return err
			}
			l := &lease.Lease{Name: "cellwall-test", Dir: own}
			dir, err := l.Unrestricted(memory, disk)
			if _, statErr := os.Stat(dir); err != nil || statErr != nil || dir != c.want {
				t.Errorf("with flags %#x of %s: %s, %v, %v, want %s", c.flags, c.on, dir, err, statErr, c.want)
			}
			if err := l.Close(); err != nil {
				t.Error(err)
			}
			if _, err := os.Stat(dir); dir != own && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s is still there: %v", dir, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestCloseCrossesNoMount: what a runtime has left mounted below the directory is another's.
func TestCloseCrossesNoMount(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("mount(2) needs root")
	}
	theirs := filepath.Join(t.TempDir(), "theirs")
	if err := os.WriteFile(filepath.Join(mkdir(t, theirs), "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	parent := t.TempDir()
	result := make(chan error)
	go kernel.ThrowAway(func() {
		result <- func() error {
			if err := errors.Join(unix.Unshare(unix.CLONE_NEWNS), unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")); err != nil {
				return err
			}
			l, err := lease.Take(parent)
			if err != nil {
				return err
			}
			below := mkdir(t, filepath.Join(l.Dir, "below"))
			if err := unix.Mount(theirs, below, "", unix.MS_BIND, ""); err != nil {
				return err
			}
			if err := l.Close(); err == nil || !strings.Contains(err.Error(), "below") {
				t.Errorf("close: %v, want what cannot be removed", err)
			}
			return nil
		}()
	})
	if err := <-result; err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(theirs, "file")); err != nil {
		t.Error(err)
	}
}

func mkdir(t *testing.T, dir string) string {
	t.Helper()
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Error(err)
	}
	return dir
}
