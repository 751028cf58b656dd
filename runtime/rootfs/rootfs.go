// Package rootfs builds root directories for containers.
//
// Every builder makes one directory, named cellwall-rootfs-*, below a parent that the caller
// names, and returns a value whose Close removes exactly that. Do not use it to prepare what a
// running container sees (mounts, devices): that is the core's plan.
package rootfs

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/cleanup"
)

// Root is a root directory for a container. It is made by the functions of this package.
//
// What lies below Path may have been written by a hostile archive or container: a host process
// that follows it by name can be led out of it by a symbolic link.
type Root struct {
	path   string
	mounts []specs.Mount
	undo   cleanup.Stack
}

// Path returns the absolute path of the directory on the host.
func (r *Root) Path() string { return r.path }

// Mounts returns the mounts that the container needs on top of the directory; mostly none.
// Append them to the mounts of its spec.
func (r *Root) Mounts() []specs.Mount { return r.mounts }

// Close removes the directory if this package made it, and nothing else: it follows no symbolic
// link and crosses no mount. What is mounted below the directory is an error, and stays. A
// second call does nothing.
func (r *Root) Close() error {
	if err := r.undo.Close(); err != nil {
		return fmt.Errorf("rootfs %q: %w", r.path, err)
	}
	return nil
}

// newRoot makes an empty directory, mode 0755, below dir, and returns it opened. The tree is
// closed with the Root.
func newRoot(dir string) (_ *Root, _ tree, err error) {
	r := &Root{}
	defer r.undo.OnError(&err)
	parent, path, err := openParent(dir)
	if err != nil {
		return nil, tree{}, err
	}
	r.undo.Push("close parent", func() error { return unix.Close(parent) })
	name, err := mkdirRandom(parent)
	if err != nil {
		return nil, tree{}, fmt.Errorf("make directory in %q: %w", path, err)
	}
	r.path = filepath.Join(path, name)
	fd, err := openDir(parent, name, unix.O_PATH)
	if err != nil {
		return nil, tree{}, errors.Join(fmt.Errorf("open %q: %w", r.path, err), unix.Unlinkat(parent, name, unix.AT_REMOVEDIR))
	}
	r.undo.Push("close directory", func() error { return unix.Close(fd) })
	r.undo.Push("remove directory", func() error { return removeMade(parent, name, fd) })
	t := tree{fd: fd}
	// Not left to the umask: container root may be a host uid that is "other" here.
	if err := t.chmod(".", 0o755); err != nil {
		return nil, tree{}, err
	}
	return r, t, nil
}

func openParent(dir string) (fd int, path string, err error) {
	if dir == "" {
		return -1, "", errors.New("rootfs parent \"\": name a directory")
	}
	path, err = filepath.Abs(dir)
	if err != nil {
		return -1, "", fmt.Errorf("rootfs parent %q: %w", dir, err)
	}
	fd, err = unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, "", fmt.Errorf("rootfs parent %q: %w", dir, directoryError(err))
	}
	return fd, path, nil
}

// mkdirRandom makes a directory whose name nobody has: the parent may be /tmp.
func mkdirRandom(parent int) (string, error) {
	for {
		name := fmt.Sprintf("cellwall-rootfs-%016x", rand.Uint64())
		err := unix.Mkdirat(parent, name, 0o755)
		if err == nil {
			return name, nil
		}
		if !errors.Is(err, unix.EEXIST) {
			return "", err
		}
	}
}

// directoryError says what ENOENT and ENOTDIR mean where a directory was wanted.
func directoryError(err error) error {
	switch {
	case errors.Is(err, unix.ENOENT):
		return fmt.Errorf("no such directory%w", silent{err})
	case errors.Is(err, unix.ENOTDIR):
		return fmt.Errorf("not a directory%w", silent{err})
	}
	return err
}

// silent keeps an error in the chain without its text.
type silent struct{ error }

func (silent) Error() string   { return "" }
func (s silent) Unwrap() error { return s.error }
