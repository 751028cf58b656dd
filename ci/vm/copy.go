package vm

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// copyOf puts all that is below a directory of this host; "" is an empty one. No link is followed. Everything is root's
// in the guest, and a file with several names is several files. A socket is refused: nobody would be behind it.
func (t tree) copyOf(dir string) error {
	if dir == "" {
		return nil
	}
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("copy the root directory: %w", err)
		}
		name, err := filepath.Rel(dir, path)
		if err != nil || name == "." {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return fmt.Errorf("copy the root directory: look at %s: %w", path, err)
		}
		n := node{mode: st.Mode}
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFREG:
			n.source = path
		case unix.S_IFLNK:
			if n.target, err = os.Readlink(path); err != nil {
				return fmt.Errorf("copy the root directory: %w", err)
			}
		case unix.S_IFCHR, unix.S_IFBLK:
			n.major, n.minor = unix.Major(st.Rdev), unix.Minor(st.Rdev)
		case unix.S_IFSOCK:
			return fmt.Errorf("copy the root directory: %s is a socket, and nobody would be behind it in the guest", path)
		}
		t[name] = n
		return nil
	})
}
