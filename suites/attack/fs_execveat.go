package attack

import (
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// execveat replaces this program by the one behind a descriptor. It returns only with an error.
func execveat(fd int, args []string) error {
	argv := make([]*byte, 0, len(args)+1)
	for _, s := range args {
		p, err := unix.BytePtrFromString(s)
		if err != nil {
			return err
		}
		argv = append(argv, p)
	}
	argv = append(argv, nil)
	envv := make([]*byte, 0, len(os.Environ())+1)
	for _, s := range os.Environ() {
		p, err := unix.BytePtrFromString(s)
		if err != nil {
			return err
		}
		envv = append(envv, p)
	}
	envv = append(envv, nil)
	empty, err := unix.BytePtrFromString("")
	if err != nil {
		return err
	}
	_, _, errno := unix.Syscall6(unix.SYS_EXECVEAT, uintptr(fd), uintptr(unsafe.Pointer(empty)),
		uintptr(unsafe.Pointer(&argv[0])), uintptr(unsafe.Pointer(&envv[0])), unix.AT_EMPTY_PATH, 0)
	runtime.KeepAlive(argv)
	runtime.KeepAlive(envv)
	return errno
}
