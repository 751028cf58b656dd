package rootfs

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// made is an attacker's root with what setup did to it, beside a directory that must not change.
func made(t *testing.T, setup func(root, outside string)) (r *Root, intact func()) {
	t.Helper()
	top := t.TempDir()
	outside := filepath.Join(top, "outside")
	write(t, filepath.Join(outside, "d", "file"), "kept", 0o644)
	r, err := Attacker(top, write(t, filepath.Join(top, "attack"), "program", 0o755))
	if err != nil {
		t.Fatal(err)
	}
	setup(r.Path(), outside)
	return r, unchanged(t, outside)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestCloseRemovesWhatContainersLeave(t *testing.T) {
	for _, c := range []struct {
		name  string
		setup func(root, outside string)
	}{
		{"links out", func(root, outside string) {
			must(t, os.Symlink(outside, root+"/tmp/l"))
			must(t, os.Symlink("../../outside/d", root+"/tmp/m"))
			must(t, os.RemoveAll(root+"/usr"))
			must(t, os.Symlink(outside, root+"/usr"))
		}},
		{"locked directories", func(root, _ string) {
			write(t, root+"/tmp/a/b/file", "", 0o000)
			must(t, os.Chmod(root+"/tmp/a/b", 0o500))
			must(t, os.Chmod(root+"/tmp/a", 0))
			must(t, os.Chmod(root, 0))
		}},
		{"fifo and socket", func(root, _ string) {
			must(t, unix.Mkfifo(root+"/tmp/fifo", 0o600))
			must(t, unix.Mknod(root+"/tmp/sock", unix.S_IFSOCK|0o600, 0))
		}},
		{"many files", func(root, _ string) {
			for i := range 3000 {
				write(t, filepath.Join(root, "tmp", strings.Repeat("x", 1+i%200)+string(rune('a'+i/200))), "", 0o644)
			}
		}},
		{"deeper than descriptors and PATH_MAX", func(root, _ string) { deepen(t, root+"/tmp", 3000) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, intact := made(t, c.setup)
			if err := r.Close(); err != nil {
				t.Error(err)
			}
			if _, err := os.Lstat(r.Path()); !os.IsNotExist(err) {
				t.Errorf("still there: %v", err)
			}
			intact()
		})
	}
}

// deepen nests locked directories one by one by descriptor, and leaves a name behind that lift wants.
func deepen(t *testing.T, dir string, levels int) {
	t.Helper()
	must(t, os.Mkdir(filepath.Join(filepath.Dir(dir), "cellwall-deep-1"), 0o755))
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	must(t, err)
	for range levels {
		must(t, unix.Mkdirat(fd, "deep", 0o755))
		next, err := unix.Openat(fd, "deep", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		must(t, err)
		must(t, chmodPath(fd, 0))
		must(t, unix.Close(fd))
		fd = next
	}
	must(t, unix.Close(fd))
}

func TestCloseLeavesAnotherDirectoryAlone(t *testing.T) {
	r, intact := made(t, func(root, _ string) {
		must(t, os.Rename(root, root+".moved"))
		must(t, os.Mkdir(root, 0o755))
		write(t, root+"/file", "not ours", 0o644)
	})
	err := r.Close()
	if err == nil || !strings.Contains(err.Error(), "another directory has taken its place") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(r.Path() + "/file"); err != nil {
		t.Error(err)
	}
	intact()
}

// removals are by who made the directory, and by who finds it.
var removals = map[string]func(*Root) error{
	"Close":  (*Root).Close,
	"Remove": func(r *Root) error { return Remove(r.Path()) },
}

func TestRemovalOfFrozenFiles(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("chattr(1) +i needs root")
	}
	for name, remove := range removals {
		t.Run(name, func(t *testing.T) { removesFrozenFiles(t, remove) })
	}
}

func removesFrozenFiles(t *testing.T, remove func(*Root) error) {
	r, intact := made(t, func(root, _ string) {
		for _, name := range []string{root + "/tmp/frozen/file", root + "/tmp/frozen"} {
			if strings.HasSuffix(name, "file") {
				write(t, name, "", 0o644)
			}
			f, err := os.Open(name)
			must(t, err)
			const immutable = 0x10 // FS_IMMUTABLE_FL
			if err := unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, immutable); err != nil {
				t.Skipf("file system without inode flags: %v", err)
			}
			must(t, f.Close())
		}
		if err := os.Remove(root + "/tmp/frozen/file"); !errors.Is(err, unix.EPERM) {
			t.Fatalf("remove of a frozen file: %v, want EPERM", err)
		}
	})
	for range 2 { // gone already is gone
		if err := remove(r); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Lstat(r.Path()); !os.IsNotExist(err) {
		t.Errorf("still there: %v", err)
	}
	intact()
}

// In a private mount namespace, on a thread that is thrown away.
func TestRemovalCrossesNoMount(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("mount(2) needs root")
	}
	for name, remove := range removals {
		t.Run(name, func(t *testing.T) { crossesNoMount(t, remove) })
	}
}

func crossesNoMount(t *testing.T, remove func(*Root) error) {
	var outsideDir string
	r, intact := made(t, func(_, outside string) { outsideDir = outside })
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS)
		if err == nil {
			err = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
		}
		if err == nil {
			err = unix.Mount(outsideDir, r.Path()+"/tmp", "", unix.MS_BIND, "")
		}
		if err != nil {
			t.Error(err)
		}
		done <- remove(r)
	}()
	err := <-done
	if err == nil || !strings.Contains(err.Error(), "tmp: something is mounted here, unmount it first") {
		t.Errorf("got %v", err)
	}
	intact()
	if _, err := os.Stat(r.Path() + "/tmp"); err != nil {
		t.Error(err)
	}
}
