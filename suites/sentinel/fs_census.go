package sentinel

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// unmasked returns those of the paths in a process's root directory that no mask is on: neither
// the device null nor an empty directory that is read-only. What is not there needs no mask.
func unmasked(pid int, paths []string) (open []string, err error) {
	root, err := unix.Open(fmt.Sprintf("/proc/%d/root", pid), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open the attacker's root: %w", err)
	}
	defer unix.Close(root) //nolint:errcheck // nothing was written
	for _, path := range paths {
		masked, err := isMask(root, path)
		if err != nil && !errors.Is(err, unix.ENOENT) {
			return nil, fmt.Errorf("look at %s in the attacker's root: %w", path, err)
		}
		if err == nil && !masked {
			open = append(open, path)
		}
	}
	return open, nil
}

// isMask reports whether a path below a root directory is masked. Links do not lead out of it.
func isMask(root int, path string) (bool, error) {
	fd, err := unix.Openat2(root, path, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT})
	if err != nil {
		return false, err
	}
	defer unix.Close(fd) //nolint:errcheck // nothing was written
	var st unix.Stat_t
	var fs unix.Statfs_t
	if err := errors.Join(unix.Fstat(fd, &st), unix.Fstatfs(fd, &fs)); err != nil {
		return false, err
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFCHR:
		return st.Rdev == unix.Mkdev(1, 3), nil
	case unix.S_IFDIR:
		entries, err := os.ReadDir(fmt.Sprintf("/proc/self/fd/%d", fd))
		return len(entries) == 0 && fs.Flags&unix.ST_RDONLY != 0, err
	}
	return false, nil
}
