package kernel

import (
	"errors"
	"unsafe"

	"golang.org/x/sys/unix"
)

// IPC. Neither probe makes an object.
var (
	SysVIPC = &Feature{
		Name: "sysvipc(7)", Since: Version{2, 4},
		Remedy: "the kernel needs CONFIG_SYSVIPC",
		probe: func() error {
			var info [128]byte // struct shminfo has 72
			const ipcInfo = 3  // IPC_INFO, shmctl(2)
			_, _, errno := unix.RawSyscall(unix.SYS_SHMCTL, 0, ipcInfo, uintptr(unsafe.Pointer(&info)))
			return refused(asError(errno), "")
		},
	}
	PosixMQ = &Feature{
		Name: "mq_overview(7)", Since: Version{2, 6},
		Remedy: "the kernel needs CONFIG_POSIX_MQUEUE",
		probe: func() error {
			name, err := unix.BytePtrFromString("cellwall-none")
			if err != nil {
				return err
			}
			fd, _, errno := unix.RawSyscall6(unix.SYS_MQ_OPEN, uintptr(unsafe.Pointer(name)),
				unix.O_RDONLY|unix.O_CLOEXEC, 0, 0, 0, 0)
			switch {
			case errno == 0: // somebody has it
				return unix.Close(int(fd))
			case errors.Is(errno, unix.ENOENT), errors.Is(errno, unix.EACCES):
				return nil
			}
			return refused(errno, "")
		},
	}
)

// asError makes nil of the errno 0.
func asError(errno unix.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}
