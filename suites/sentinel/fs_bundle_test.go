package sentinel

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

func TestMountsOf(t *testing.T) {
	lines := []string{
		"36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw",
		"37 35 98:1 / /one rw - tmpfs tmpfs rw",
		"38 35 198:1 / /other rw - tmpfs tmpfs rw",
		"39 35 98:1 / /two rw - tmpfs tmpfs rw",
		"cut 98:1",
	}
	if got := mountsOf(lines, unix.Mkdev(98, 1)); !slices.Equal(got, []string{"/one", "/two"}) {
		t.Errorf("mounts are %q", got)
	}
}

// TestReadableBy asks for files whose mode, or whose directory's, keeps a user out.
func TestReadableBy(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: looks with the eyes of another user")
	}
	const user = 54321
	top := t.TempDir()
	// The two directories that this test has made; the mode of none above is its own to change.
	own := filepath.Dir(top)
	if err := errors.Join(os.Chmod(own, 0o755), os.Chmod(top, 0o755)); err != nil {
		t.Fatal(err)
	}
	for dir := filepath.Dir(own); dir != "/"; dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm()&1 == 0 {
			t.Skipf("%s lets no other user pass: %v", dir, err)
		}
	}
	var files []string
	for _, c := range []struct {
		dir       string
		dirMode   os.FileMode
		file      string
		mode      os.FileMode
		ownedByIt bool
	}{
		{"open", 0o755, "open", 0o644, false},
		{"open", 0o755, "closed", 0o600, false},
		{"open", 0o755, "own", 0o600, true},
		{"shut", 0o700, "open", 0o644, false},
	} {
		dir := filepath.Join(top, c.dir)
		path := filepath.Join(dir, c.file)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if c.ownedByIt {
			if err := os.Chown(path, user, user); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(path, c.mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, c.dirMode); err != nil {
			t.Fatal(err)
		}
		files = append(files, path)
	}
	got, err := readableBy(user, append(files, filepath.Join(top, "none")))
	if err != nil || !slices.Equal(got, []string{files[0], files[2]}) {
		t.Errorf("readable are %q, %v", got, err)
	}
}
