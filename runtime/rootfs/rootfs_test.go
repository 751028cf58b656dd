package rootfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// snapshot lists everything below dir: kind, mode, size or target or content.
func snapshot(t testing.TB, dir string) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		line := fmt.Sprintf("%s %s", info.Mode(), name)
		switch {
		case info.Mode().IsRegular():
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			line += fmt.Sprintf(" %q", text)
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			line += " -> " + target
		}
		list = append(list, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// unchanged fails the test if what is below dir differs when it ends.
func unchanged(t testing.TB, dir string) (check func()) {
	t.Helper()
	before := snapshot(t, dir)
	return func() {
		t.Helper()
		if after := snapshot(t, dir); !slices.Equal(before, after) {
			t.Errorf("%s changed\nfrom %s\n  to %s", dir, strings.Join(before, "\n     "), strings.Join(after, "\n     "))
		}
	}
}

func write(t testing.TB, path, text string, mode fs.FileMode) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAttackerIsAHardLink(t *testing.T) {
	dir := t.TempDir()
	binary := write(t, filepath.Join(dir, "attack"), "program", 0o755)
	defer unchanged(t, dir)()
	old := unix.Umask(0o077)
	r, err := Attacker(dir, binary)
	unix.Umask(old)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"drwxr-xr-x .", `-rwxr-xr-x cellwall-attacker "program"`, "drwxr-xr-x dev", "drwxr-xr-x etc",
		`-rw-r--r-- etc/group "root:x:0:\nnogroup:x:65534:\n"`,
		`-rw-r--r-- etc/passwd "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"`,
		"drwxr-xr-x proc", "drwx------ root", "drwxr-xr-x run", "drwxr-xr-x sys", "dtrwxrwxrwx tmp", "drwxr-xr-x usr", "drwxr-xr-x var",
	}
	if got := snapshot(t, r.Path()); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	a, errA := os.Stat(binary)
	b, errB := os.Stat(r.Path() + AttackerPath)
	if errA != nil || errB != nil || !os.SameFile(a, b) {
		t.Errorf("not a hard link: %v, %v", errA, errB)
	}
	if len(r.Mounts()) != 0 || filepath.Dir(r.Path()) != dir || !strings.HasPrefix(filepath.Base(r.Path()), "cellwall-") {
		t.Errorf("path %q, mounts %v", r.Path(), r.Mounts())
	}
	for range 2 {
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAttackerOnAnotherFileSystemIsABindMount(t *testing.T) {
	const shm = "/dev/shm"
	dir := t.TempDir()
	var a, b unix.Stat_t
	if err := errors.Join(unix.Stat(dir, &a), unix.Stat(shm, &b)); err != nil || a.Dev == b.Dev {
		t.Skipf("needs a second file system on %s: %v", shm, err)
	}
	other, err := os.MkdirTemp(shm, "cellwall-test-") //nolint:usetesting // on another file system
	if err != nil {
		t.Skipf("%s: %v", shm, err)
	}
	defer os.RemoveAll(other)
	binary := write(t, filepath.Join(other, "attack"), "program", 0o755)
	r, err := Attacker(dir, binary)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	m := r.Mounts()
	if len(m) != 1 || m[0].Source != binary || m[0].Destination != AttackerPath || !slices.Contains(m[0].Options, "ro") {
		t.Errorf("mounts %+v", m)
	}
	if info, err := os.Lstat(r.Path() + AttackerPath); err != nil || info.Size() != 0 || !info.Mode().IsRegular() {
		t.Errorf("mount point: %v, %v", info, err)
	}
}

func TestBadInputIsOneLineAndLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	plain := write(t, filepath.Join(dir, "plain"), "", 0o644)
	program := write(t, filepath.Join(dir, "program"), "", 0o755)
	if err := os.Symlink("/", filepath.Join(dir, "slash")); err != nil {
		t.Fatal(err)
	}
	defer unchanged(t, dir)()
	for _, c := range []struct {
		name string
		call func() (*Root, error)
		want string
	}{
		{"no parent", func() (*Root, error) { return Attacker("/nonexistent", program) }, `rootfs parent "/nonexistent": no such directory`},
		{"parent is a file", func() (*Root, error) { return Attacker("/dev/null", program) }, `rootfs parent "/dev/null": not a directory`},
		{"empty parent", func() (*Root, error) { return Attacker("", program) }, `rootfs parent "": name a directory`},
		{"no attacker", func() (*Root, error) { return Attacker(dir, "/nonexistent") }, `attacker "/nonexistent": no such file`},
		{"attacker is a directory", func() (*Root, error) { return Attacker(dir, "/") }, `attacker "/": not an executable file`},
		{"attacker is dynamic", func() (*Root, error) { return Attacker(dir, "/bin/sh") }, `attacker "/bin/sh": needs /lib`},
		{"attacker cannot be executed", func() (*Root, error) { return Attacker(dir, plain) }, `attacker "` + plain + `": not an executable file`},
		{"no directory", func() (*Root, error) { return Directory("/nonexistent") }, `rootfs "/nonexistent": no such directory`},
		{"a file", func() (*Root, error) { return Directory("/dev/null") }, `rootfs "/dev/null": not a directory`},
		{"below a file", func() (*Root, error) { return Directory("/dev/null/x") }, `rootfs "/dev/null/x": not a directory`},
		{"nothing", func() (*Root, error) { return Directory("") }, `rootfs "": name a directory`},
		{"the host", func() (*Root, error) { return Directory("/") }, `rootfs "/": is the root of the host, name another directory`},
		{"the host by a link", func() (*Root, error) { return Directory(filepath.Join(dir, "slash")) }, "is the root of the host, name another directory"},
		{"the host by proc", func() (*Root, error) { return Directory("/proc/self/root") }, "is the root of the host, name another directory"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := c.call()
			if err == nil {
				t.Fatalf("got %q and no error", r.Path())
			}
			if !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
	if _, err := Directory("/nonexistent"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v does not wrap ENOENT", err)
	}
}

func TestDirectoryIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "real", "file"), "kept", 0o644)
	link := filepath.Join(dir, "link")
	if err := os.Symlink("real", link); err != nil {
		t.Fatal(err)
	}
	defer unchanged(t, dir)()
	r, err := Directory(link)
	if err != nil {
		t.Fatal(err)
	}
	if want, _ := filepath.EvalSymlinks(link); r.Path() != want {
		t.Errorf("path %q, want %q", r.Path(), want)
	}
	if err := errors.Join(r.Close(), r.Close()); err != nil {
		t.Fatal(err)
	}
}

func BenchmarkAttacker(b *testing.B) {
	dir := b.TempDir()
	binary := write(b, filepath.Join(dir, "attack"), "program", 0o755)
	for b.Loop() {
		r, err := Attacker(dir, binary)
		if err != nil {
			b.Fatal(err)
		}
		if err := r.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
