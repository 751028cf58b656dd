package rootfs

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestInsideDoesNotRestOnOpen gives the second check descriptors that open would never return.
// It only looks: nothing is changed through any of them.
func TestInsideDoesNotRestOnOpen(t *testing.T) {
	dir := t.TempDir()
	root, below, beside := filepath.Join(dir, "root"), filepath.Join(dir, "root", "a"), filepath.Join(dir, "root-beside")
	for _, d := range []string{root, below, beside} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	open := func(path string) int {
		fd, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Close(fd) })
		return fd
	}
	for _, c := range []struct {
		name, tree, fd string
		inside         bool
	}{
		{name: "the tree itself", tree: root, fd: root, inside: true},
		{name: "below", tree: root, fd: below, inside: true},
		{name: "above", tree: root, fd: dir},
		{name: "beside, with the tree's name as prefix", tree: root, fd: beside},
		{name: "the host's root", tree: root, fd: "/"},
		{name: "a tree that is the host's root", tree: "/", fd: root},
	} {
		err := tree{fd: open(c.tree)}.inside(open(c.fd))
		if c.inside && err != nil || !c.inside && !errors.Is(err, unix.EXDEV) {
			t.Errorf("%s: %v, want inside %v", c.name, err, c.inside)
		}
	}
}
