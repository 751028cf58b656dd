package sentinel

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// executableFloor lies above every descriptor that a new process is given on purpose: os/exec
// puts those in order from 0, over whatever is there.
const executableFloor = 256

// executable opens a program so that a process of any uid can execute it by procPath, whatever
// directories lie above it. It follows no symbolic link.
func executable(path string) (*os.File, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	high, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, executableFloor)
	if err := errors.Join(err, unix.Close(fd)); err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return os.NewFile(uintptr(high), path), nil
}

// procPath names an open file of the process that resolves it, or of its parent before execve.
func procPath(f *os.File) string { return fmt.Sprintf("/proc/self/fd/%d", f.Fd()) }
