package rootfs

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// maxOpen bounds the descriptors that a removal holds: a container can nest directories deeper
// than any limit on open files. What lies deeper is first moved up.
const maxOpen = 64

// Remove removes what lies at a path, as Close does a root directory. A name that is not there is no error.
func Remove(path string) error {
	dir, name := filepath.Split(filepath.Clean(path))
	parent, _, err := openParent(dir)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(parent) //nolint:errcheck // nothing was written
	if err := removeAt(parent, name); err != nil {
		return fmt.Errorf("remove %q: %w", path, err)
	}
	return nil
}

// removeMade removes the directory name in parent if it is still the one that fd refers to.
func removeMade(parent int, name string, fd int) error {
	var made, found unix.Stat_t
	if err := unix.Fstat(fd, &made); err != nil {
		return err
	}
	if err := unix.Fstatat(parent, name, &found, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		if errors.Is(err, unix.ENOENT) {
			return nil
		}
		return err
	}
	if made.Dev != found.Dev || made.Ino != found.Ino {
		return errors.New("another directory has taken its place; left alone")
	}
	return removeAt(parent, name)
}

// removeAt removes name and everything below it. It follows no link and crosses no mount.
func removeAt(parent int, name string) error {
	r := remover{top: -1}
	return r.remove(parent, name, 0)
}

type remover struct {
	top   int // where directories that are too deep are moved to
	moved int // how many were
}

func (r *remover) remove(parent int, name string, depth int) error {
	err := unlink(parent, name)
	if errors.Is(err, unix.EPERM) && thaw(parent, name, depth) {
		err = unlink(parent, name)
	}
	if !errors.Is(err, unix.ENOTEMPTY) && !errors.Is(err, unix.EEXIST) && !errors.Is(err, unix.EACCES) {
		return describe(name, err)
	}
	if depth > maxOpen {
		return describe(name, r.lift(parent, name))
	}
	fd, enterErr := r.enter(parent, name)
	switch {
	case errors.Is(enterErr, unix.ENOTDIR), errors.Is(enterErr, unix.ELOOP):
		return describe(name, err) // not a directory: what unlink said is the reason
	case enterErr != nil:
		return describe(name, enterErr)
	}
	dir := os.NewFile(uintptr(fd), name)
	defer dir.Close() //nolint:errcheck // nothing was written
	if depth == 0 {
		r.top = fd
	}
	if err := r.empty(dir, depth); err != nil {
		return fmt.Errorf("%s/%w", name, err)
	}
	return describe(name, unlink(parent, name))
}

// empty reads from the start until nothing is left, because what readdir(3) returns after an
// unlink is unspecified, and because lift adds to the top. It stops at the first batch in which
// something would not go.
func (r *remover) empty(dir *os.File, depth int) error {
	const batch = 1024
	for {
		names, err := dir.Readdirnames(batch)
		if errors.Is(err, io.EOF) && len(names) == 0 {
			return nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		var first error
		for _, name := range names {
			if err := r.remove(int(dir.Fd()), name, depth+1); err != nil && first == nil {
				first = err
			}
		}
		if first != nil {
			return first
		}
		if _, err := dir.Seek(0, io.SeekStart); err != nil {
			return err
		}
	}
}

// enter opens a directory for reading, also one that its owner locked.
func (r *remover) enter(parent int, name string) (int, error) {
	fd, err := openDir(parent, name, unix.O_RDONLY)
	if errors.Is(err, unix.EACCES) {
		if err := unlock(parent, name); err != nil {
			return -1, err
		}
		fd, err = openDir(parent, name, unix.O_RDONLY)
	}
	if err != nil {
		return -1, err
	}
	if os.Geteuid() != 0 {
		// Removing entries needs write and search permission; if it is not ours to give, the
		// unlink that follows says so.
		_ = unix.Fchmod(fd, 0o700)
	}
	return fd, nil
}

// lift moves a directory to the top under a new name; empty finds it there. One that its owner locked
// keeps its "..", so it is unlocked.
func (r *remover) lift(parent int, name string) error {
	for unlocked := false; ; {
		r.moved++
		err := unix.Renameat2(parent, name, r.top, fmt.Sprintf("cellwall-deep-%d", r.moved), unix.RENAME_NOREPLACE)
		switch {
		case errors.Is(err, unix.EACCES) && !unlocked:
			if err := unlock(parent, name); err != nil {
				return err
			}
			unlocked = true
		case !errors.Is(err, unix.EEXIST):
			return err
		}
	}
}

// unlink removes a file or an empty directory. Gone already is success.
func unlink(parent int, name string) error {
	err := unix.Unlinkat(parent, name, 0)
	if errors.Is(err, unix.EISDIR) {
		err = unix.Unlinkat(parent, name, unix.AT_REMOVEDIR)
	}
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	return err
}

// thaw takes away the immutable and append-only flags, chattr(1), from name and from the
// directory that holds it, unless that is the caller's. Only files and directories are opened:
// to open a device may act.
func thaw(parent int, name string, depth int) bool {
	thawed := depth > 0 && thawOne(parent, ".")
	var st unix.Stat_t
	if err := unix.Fstatat(parent, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return thawed
	}
	if kind := st.Mode & unix.S_IFMT; kind == unix.S_IFREG || kind == unix.S_IFDIR {
		return thawOne(parent, name) || thawed
	}
	return thawed
}

func thawOne(parent int, name string) bool {
	fd, err := unix.Openat(parent, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)                                              //nolint:errcheck // nothing was written
	const frozen = unix.STATX_ATTR_IMMUTABLE | unix.STATX_ATTR_APPEND // the values of FS_IMMUTABLE_FL and FS_APPEND_FL
	flags, err := unix.IoctlGetUint32(fd, unix.FS_IOC_GETFLAGS)
	if err != nil || flags&frozen == 0 {
		return false
	}
	return unix.IoctlSetPointerInt(fd, unix.FS_IOC_SETFLAGS, int(flags&^frozen)) == nil
}

// unlock gives the owner all permissions of a directory.
func unlock(parent int, name string) error {
	fd, err := openDir(parent, name, unix.O_PATH)
	if err != nil {
		return err
	}
	defer unix.Close(fd) //nolint:errcheck // nothing was written
	return chmodPath(fd, 0o700)
}

func describe(name string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EXDEV), errors.Is(err, unix.EBUSY):
		return fmt.Errorf("%s: something is mounted here, unmount it first: %w", name, err)
	}
	return fmt.Errorf("%s: %w", name, err)
}
