package kernel

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Making processes and holding them.
var (
	Clone3 = &Feature{
		Name: "clone3(2)", Since: Version{5, 3},
		Remedy: "let the seccomp filter of the outer container pass clone3",
		probe: func() error {
			err := inChild(0)
			var u *unasked
			if errors.As(err, &u) && u.name == "clone3" && errors.Is(u.err, unix.ENOSYS) {
				return absent(NotBuilt, "%v", u.err)
			}
			return refused(err, "")
		},
	}
	CloneClearSighand = &Feature{
		Name: "clone3(2) CLONE_CLEAR_SIGHAND", Since: Version{5, 5},
		probe: func() error { return refused(inChild(unix.CLONE_CLEAR_SIGHAND), "") },
	}
	PidfdOpen = &Feature{
		Name: "pidfd_open(2)", Since: Version{5, 3},
		probe: func() error { return withPidfd(func(int) error { return nil }) },
	}
	PidfdSendSignal = &Feature{
		Name: "pidfd_send_signal(2)", Since: Version{5, 1},
		probe: func() error {
			return withPidfd(func(pidfd int) error { return unix.PidfdSendSignal(pidfd, 0, nil, 0) })
		},
	}
	PidfdGetfd = &Feature{
		Name: "pidfd_getfd(2)", Since: Version{5, 6},
		probe: func() error {
			return withPidfd(func(pidfd int) error {
				// A process may always take its own, so a refusal is the kernel's.
				fd, err := unix.PidfdGetfd(pidfd, pidfd, 0)
				if err != nil {
					return err
				}
				return unix.Close(fd)
			})
		},
	}
	WaitidPidfd = &Feature{
		Name: "waitid(2) P_PIDFD", Since: Version{5, 4},
		probe: func() error {
			return withPidfd(func(pidfd int) error {
				// This process is no child of its own: ECHILD where P_PIDFD is known, else EINVAL.
				err := unix.Waitid(unix.P_PIDFD, pidfd, nil, unix.WEXITED|unix.WNOHANG, nil)
				if errors.Is(err, unix.ECHILD) {
					return nil
				}
				return err
			})
		},
	}
	CloseRange = &Feature{
		Name: "close_range(2)", Since: Version{5, 9},
		probe: func() error { return refused(closeRange(0), "") },
	}
	CloseRangeCloexec = &Feature{
		Name: "close_range(2) CLOSE_RANGE_CLOEXEC", Since: Version{5, 11},
		probe: func() error { return refused(closeRange(unix.CLOSE_RANGE_CLOEXEC), "") },
	}
	// TimeAtExecClone: a vfork-like child of a core enters its time namespace by execve only
	// since fs/exec switches time namespaces with the memory (2b5f9dad32ed).
	TimeAtExecClone = &Feature{
		Name: "time_namespaces(7) entered at execve after clone3 CLONE_VM|CLONE_NEWTIME", Since: Version{6, 3},
		Remedy: "run as root",
		probe:  func() error { return timeAtExec(unix.CLONE_NEWTIME) },
	}
	TimeAtExecUnshare = &Feature{
		Name: "time_namespaces(7) entered at execve after unshare", Since: Version{6, 3},
		Remedy: "run as root",
		probe: func() error {
			return timeAtExec(0, ask("unshare", unix.SYS_UNSHARE, unix.CLONE_NEWTIME))
		},
	}
)

func withPidfd(use func(pidfd int) error) error {
	pidfd, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return refused(err, "")
	}
	return errors.Join(refused(use(pidfd), ""), unix.Close(pidfd))
}

// closeRange closes no descriptor: none has the highest number of an unsigned int.
func closeRange(flags uintptr) error {
	const none = uintptr(^uint32(0))
	if _, _, errno := unix.RawSyscall(unix.SYS_CLOSE_RANGE, none, none, flags); errno != 0 {
		return errno
	}
	return nil
}

// namespaceID returns what a /proc/PID/ns link names, "time:[4026531834]".
func namespaceID(pid any, kind string) (string, error) {
	return os.Readlink(fmt.Sprintf("/proc/%v/ns/%s", pid, kind))
}
