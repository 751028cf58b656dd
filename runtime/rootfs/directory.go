package rootfs

import (
	"errors"
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Directory uses an existing directory. Close leaves it alone. Path returns it without symbolic
// links. The host's own root is refused, by whatever name: a container on it has no walls.
func Directory(path string) (*Root, error) {
	if path == "" {
		return nil, errors.New("rootfs \"\": name a directory")
	}
	var st, host unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return nil, fmt.Errorf("rootfs %q: %w", path, directoryError(err))
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return nil, fmt.Errorf("rootfs %q: not a directory", path)
	}
	if err := unix.Stat("/", &host); err != nil {
		return nil, fmt.Errorf("stat \"/\": %w", err)
	}
	if st.Dev == host.Dev && st.Ino == host.Ino {
		return nil, fmt.Errorf("rootfs %q: is the root of the host, name another directory", path)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("rootfs %q: %w", path, err)
	}
	if abs, err = filepath.EvalSymlinks(abs); err != nil {
		return nil, fmt.Errorf("rootfs %q: %w", path, err)
	}
	return &Root{path: abs}, nil
}
