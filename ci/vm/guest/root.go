package guest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// newRoot is where the root directory that stays is made.
const newRoot = "/cellwall-root"

// switchRoot moves everything to a tmpfs and makes that the root directory. It is needed because
// pivot_root(2), which runtimes use, refuses to leave the root file system of the kernel itself
// (EINVAL, until 7.0), where an initramfs is unpacked. What is moved is removed at once, so that nothing is
// in memory twice for longer than its own copy takes; only the running program stays, in memory
// that has no name any more. It is switch_root(8) of util-linux, but it moves the files.
func switchRoot() error {
	// Asked again, where the harm would be done.
	if os.Getpid() != 1 {
		return errors.New("switch root: this is not process 1")
	}
	if err := inMemory("/"); err != nil {
		return fmt.Errorf("switch root: %w", err)
	}
	if err := os.Mkdir(newRoot, 0o755); err != nil {
		return fmt.Errorf("switch root: %w", err)
	}
	if err := unix.Mount("tmpfs", newRoot, "tmpfs", 0, "mode=755"); err != nil {
		return fmt.Errorf("switch root: mount tmpfs: %w", err)
	}
	if err := moveTree("/", newRoot, []string{newRoot}); err != nil {
		return fmt.Errorf("switch root: %w", err)
	}
	if err := unix.Chdir(newRoot); err != nil {
		return fmt.Errorf("switch root: %w", err)
	}
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("switch root: move the new root onto /: %w", err)
	}
	if err := errors.Join(unix.Chroot("."), unix.Chdir("/")); err != nil {
		return fmt.Errorf("switch root: %w", err)
	}
	return nil
}

// moveTree moves what is in the directory from to the directory to, but for the paths in except.
// Mounts are moved as such, so it never leaves the file system of from.
func moveTree(from, to string, except []string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		old := filepath.Join(from, e.Name())
		if slices.Contains(except, old) {
			continue
		}
		if err := move(old, filepath.Join(to, e.Name()), except); err != nil {
			return err
		}
	}
	return nil
}

func move(old, path string, except []string) error {
	var st unix.Stat_t
	if err := unix.Lstat(old, &st); err != nil {
		return fmt.Errorf("move %s: %w", old, err)
	}
	mode := st.Mode &^ unix.S_IFMT
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return moveDirectory(old, path, mode, except)
	case unix.S_IFLNK:
		target, err := os.Readlink(old)
		if err != nil {
			return err
		}
		if err := os.Symlink(target, path); err != nil {
			return err
		}
	case unix.S_IFREG:
		if err := copyFile(old, path, mode); err != nil {
			return fmt.Errorf("move %s: %w", old, err)
		}
	default:
		if err := unix.Mknod(path, st.Mode, int(st.Rdev)); err != nil {
			return fmt.Errorf("move %s: make a node: %w", old, err)
		}
	}
	return os.Remove(old)
}

func moveDirectory(old, path string, mode uint32, except []string) error {
	if err := unix.Mkdir(path, mode); err != nil {
		return fmt.Errorf("make %s: %w", path, err)
	}
	if err := unix.Chmod(path, mode); err != nil { // the umask is not wanted
		return fmt.Errorf("make %s: %w", path, err)
	}
	is, err := mounted(old)
	if err != nil {
		return err
	}
	if is {
		if err := unix.Mount(old, path, "", unix.MS_MOVE, ""); err != nil {
			return fmt.Errorf("move the mount %s: %w", old, err)
		}
		return removeHidden(old)
	}
	if err := moveTree(old, path, except); err != nil {
		return err
	}
	return os.Remove(old)
}

// removeHidden removes a directory on which something was mounted, with what that hid, such as the
// /dev/console of an initramfs.
func removeHidden(dir string) error {
	switch is, err := mounted(dir); {
	case err != nil:
		return err
	case is:
		return fmt.Errorf("remove %s: something is mounted there still", dir)
	}
	return os.RemoveAll(dir)
}

func copyFile(from, to string, mode uint32) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close() //nolint:errcheck // read-only
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	return unix.Fchmod(int(out.Fd()), mode)
}
