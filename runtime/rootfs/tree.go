package rootfs

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// tree is a directory that is written as if it were the root: no name, no symbolic link and no
// ".." leads out of it, onto another mount or through a magic link, see openat2(2).
type tree struct {
	fd   int
	made func() error // if set, called for each directory that mkdirAll makes; its error stops that
}

const inRoot = unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_XDEV

// open opens name as a process whose root is the tree would.
func (t tree) open(name string, flags uint64) (int, error) {
	how := unix.OpenHow{Flags: flags | unix.O_CLOEXEC, Resolve: inRoot}
	for {
		fd, err := unix.Openat2(t.fd, relative(name), &how)
		// EAGAIN: a ".." raced with a rename somewhere on the system, openat2(2).
		if !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.EAGAIN) {
			return fd, err
		}
	}
}

// at opens the directory that holds name and calls f with it and the last part of name, which f
// must not let the kernel follow. With mkdir, missing directories are made.
func (t tree) at(name string, mkdir bool, f func(dir int, base string) error) error {
	parent, base := split(name)
	if parent == "" {
		return f(t.fd, base)
	}
	fd, err := t.open(parent, unix.O_PATH|unix.O_DIRECTORY)
	if errors.Is(err, unix.ENOENT) && mkdir {
		if err := t.mkdirAll(parent); err != nil {
			return err
		}
		fd, err = t.open(parent, unix.O_PATH|unix.O_DIRECTORY)
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd) //nolint:errcheck // nothing was written
	if err := t.inside(fd); err != nil {
		return err
	}
	return f(fd, base)
}

// inside asks a second time, by another way than open, whether a directory that is about to be
// changed lies below the tree: a single flag of openat2(2) must not be all that stands between
// an archive and the host.
func (t tree) inside(fd int) error {
	root, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", t.fd))
	if err != nil {
		return fmt.Errorf("look where the root directory is: %w", err)
	}
	at, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
	if err != nil {
		return fmt.Errorf("look where a directory is: %w", err)
	}
	if root == "/" || at != root && !strings.HasPrefix(at, root+"/") {
		return fmt.Errorf("%q is outside of the root directory %q: %w", at, root, unix.EXDEV)
	}
	return nil
}

// mkdirAll makes name and what is missing above it, mode 0755. A symbolic link on the way is
// followed inside the tree; one that leads nowhere is an error.
func (t tree) mkdirAll(name string) error {
	for i, c := range name + "/" {
		if c != '/' || i == 0 {
			continue
		}
		err := t.mkdir(name[:i], 0o755)
		if errors.Is(err, unix.EEXIST) {
			continue
		}
		if err == nil && t.made != nil {
			err = t.made()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// mkdir makes one directory with exactly this mode.
func (t tree) mkdir(name string, mode uint32) error {
	return t.at(name, false, func(dir int, base string) error {
		if err := unix.Mkdirat(dir, base, mode); err != nil {
			return err
		}
		// New and ours, so there is no link to follow.
		return unix.Fchmodat(dir, base, mode, 0)
	})
}

// chmod follows a link at name, inside the tree.
func (t tree) chmod(name string, mode uint32) error {
	fd, err := t.open(name, unix.O_PATH)
	if err != nil {
		return fmt.Errorf("chmod: %w", err)
	}
	defer unix.Close(fd) //nolint:errcheck // nothing was written
	return chmodPath(fd, mode)
}

// chmodPath is fchmod for a descriptor opened with O_PATH, which fchmod(2) refuses.
func chmodPath(fd int, mode uint32) error {
	if err := unix.Chmod(fmt.Sprintf("/proc/self/fd/%d", fd), mode); err != nil {
		return fmt.Errorf("chmod: %w", err)
	}
	return nil
}

// create makes a new file and opens it for writing; what is there already is an error.
func (t tree) create(name string) (*os.File, error) {
	var f *os.File
	err := t.at(name, true, func(dir int, base string) error {
		fd, err := unix.Openat(dir, base, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
		if err == nil {
			f = os.NewFile(uintptr(fd), name)
		}
		return err
	})
	return f, err
}

// write makes a new file with exactly this mode.
func (t tree) write(name, text string, mode os.FileMode) (err error) {
	f, err := t.create(name)
	if err != nil {
		return fmt.Errorf("create %q: %w", name, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.WriteString(text); err != nil {
		return err
	}
	return f.Chmod(mode)
}

// openDir opens a directory by its plain name: no link, no mount point.
func openDir(parent int, name string, flags uint64) (int, error) {
	how := unix.OpenHow{
		Flags:   flags | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_XDEV,
	}
	for {
		fd, err := unix.Openat2(parent, name, &how)
		if !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.EAGAIN) {
			return fd, err
		}
	}
}

// relative gives openat2 a name that is never empty.
func relative(name string) string {
	if name == "" {
		return "."
	}
	return name
}

func split(name string) (parent, base string) {
	i := strings.LastIndexByte(name, '/')
	return name[:max(i, 0)], name[i+1:]
}
