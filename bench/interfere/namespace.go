package interfere

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
)

// openNet opens a network namespace by its path.
func openNet(path string) (int, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open network namespace: %w", &os.PathError{Op: "open", Path: path, Err: err})
	}
	return fd, nil
}

// openContainer opens the network namespace of a process, which has to be another than ours: nothing is
// ever changed in the host's.
func openContainer(pid int) (int, error) {
	if pid <= 0 {
		return -1, kernel.Unsupported("the runtime does not tell the process of its container")
	}
	path := fmt.Sprintf("/proc/%d/ns/net", pid)
	fd, err := openNet(path)
	if err != nil {
		return -1, err
	}
	var ours, theirs unix.Stat_t
	if err := errors.Join(unix.Stat("/proc/self/ns/net", &ours), unix.Fstat(fd, &theirs)); err != nil {
		return -1, errors.Join(fmt.Errorf("compare network namespaces: %w", err), unix.Close(fd))
	}
	if ours.Ino == theirs.Ino {
		return -1, errors.Join(kernel.Unsupported("the container is in the host's network namespace"), unix.Close(fd))
	}
	return fd, nil
}
