package kernel

import (
	"errors"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Ways to files and devices.
var (
	IOUring = &Feature{
		Name: "io_uring(7)", Since: Version{5, 1},
		Remedy: "set sysctl kernel.io_uring_disabled=0",
		probe: func() error {
			var params [120]byte // struct io_uring_params
			fd, _, errno := unix.RawSyscall(unix.SYS_IO_URING_SETUP, 1, uintptr(unsafe.Pointer(&params)), 0)
			if errno != 0 {
				return refused(errno, "")
			}
			return unix.Close(int(fd))
		},
	}
	AIO = &Feature{
		Name: "io_setup(2)", Since: Version{2, 6},
		Remedy: "the kernel needs CONFIG_AIO",
		probe: func() error {
			// A context for no events is invalid where there are contexts. A real one would
			// take 30 ms to destroy (an RCU grace period).
			var context uintptr
			_, _, errno := unix.RawSyscall(unix.SYS_IO_SETUP, 0, uintptr(unsafe.Pointer(&context)), 0)
			if errors.Is(errno, unix.EINVAL) {
				return nil
			}
			return refused(asError(errno), "")
		},
	}
	LoopDevice = &Feature{
		Name: "loop(4)", Since: Version{3, 1},
		Remedy: "run as root; load the module loop",
		probe: func() error {
			f, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
			if err != nil {
				return missing(err, NotSetUp, "CAP_DAC_OVERRIDE")
			}
			// No more is asked: LOOP_CTL_GET_FREE would make a device where none is free.
			return f.Close()
		},
	}
)
