package kernel

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ErrRunning is returned for the exit status of a process that has not ended.
var ErrRunning = errors.New("the process has not ended")

// ExitStatus returns how a process ended that need not be a child of the caller's: while its parent
// has not waited for it, from /proc/PID/stat, and then from its pidfd, which must have been opened
// while it was there. A kernel that has forgotten (before 6.15) wraps ErrNotSupported.
func ExitStatus(pid, pidfd int) (unix.WaitStatus, error) {
	return exitStatus(func() (unix.WaitStatus, error) { return pidfdExit(pidfd) }, func() (unix.WaitStatus, error) { return zombieExit(pid) })
}

// exitStatus takes what stands in /proc only if the pidfd then still says that nobody has waited for the
// process: until then the pid is its own, and may afterwards be another's.
func exitStatus(ask, read func() (unix.WaitStatus, error)) (unix.WaitStatus, error) {
	found, foundErr := unix.WaitStatus(0), error(unix.ESRCH)
	for {
		if status, err := ask(); !errors.Is(err, ErrRunning) {
			return status, err
		}
		if !errors.Is(foundErr, os.ErrNotExist) && !errors.Is(foundErr, unix.ESRCH) {
			return found, foundErr
		}
		found, foundErr = read()
	}
}

const (
	stateField = 3  // proc_pid_stat(5)
	exitField  = 52 // only for who may trace the process
)

// zombieExit reads the status of a process that nobody has waited for.
func zombieExit(pid int) (unix.WaitStatus, error) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, fmt.Errorf("read exit status: %w", err)
	}
	return ParseExit(string(stat))
}

// ParseExit returns how a zombie ended, from its /proc/PID/stat. One that is none is ErrRunning, or
// ESRCH where it is on its way out.
func ParseExit(stat string) (unix.WaitStatus, error) {
	state, err := StatField(stat, stateField)
	if err != nil {
		return 0, err
	}
	switch state {
	case "Z":
	case "X", "x": // it is being waited for at this moment
		return 0, fmt.Errorf("read exit status: %w", unix.ESRCH)
	default:
		return 0, ErrRunning
	}
	field, err := StatField(stat, exitField)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(field, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("parse exit status %q: %w", field, err)
	}
	return unix.WaitStatus(n), nil
}

// pidfdInfo is struct pidfd_info of <linux/pidfd.h> in its first size.
type pidfdInfo struct {
	mask     uint64
	cgroup   uint64
	ids      [11]uint32 // pid, tgid, ppid, and eight of a user
	exitCode int32
}

const (
	pidfdGetInfo  = 0xC040_FF0B // _IOWR(0xFF, 11, struct pidfd_info)
	pidfdInfoExit = 1 << 3
)

// pidfdExit asks the pidfd, which knows once the process was waited for.
func pidfdExit(pidfd int) (unix.WaitStatus, error) {
	info, errno := getPidfdInfo(pidfd)
	if errno == unix.ESRCH {
		// The kernel looks for the status first and for the process then (pidfd_info in fs/pidfs.c): between them
		// somebody may have waited for it.
		info, errno = getPidfdInfo(pidfd)
	}
	switch {
	case errno == unix.ESRCH: // waited for, and nothing kept
		return 0, Unsupported("ioctl PIDFD_GET_INFO keeps no exit status: it is there since Linux 6.15")
	case errno == unix.ENOTTY || errno == unix.EINVAL:
		// Without the call a process that is gone cannot be told from one that is not.
		if err := unix.PidfdSendSignal(pidfd, 0, nil, 0); errors.Is(err, unix.ESRCH) {
			return 0, Unsupported("ioctl PIDFD_GET_INFO: it is there since Linux 6.13")
		}
		return 0, ErrRunning
	case errno != 0:
		return 0, fmt.Errorf("ioctl PIDFD_GET_INFO: %w", errno)
	case info.mask&pidfdInfoExit == 0:
		return 0, ErrRunning
	}
	return unix.WaitStatus(info.exitCode), nil
}

func getPidfdInfo(pidfd int) (pidfdInfo, unix.Errno) {
	info := pidfdInfo{mask: pidfdInfoExit}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(pidfd), pidfdGetInfo, uintptr(unsafe.Pointer(&info)))
	return info, errno
}
