package bench

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mincore says of each page of a mapping whether it is in memory: mincore(2).
func mincore(m, in []byte) error {
	_, _, errno := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&m[0])), uintptr(len(m)), uintptr(unsafe.Pointer(&in[0])))
	if errno != 0 {
		return fmt.Errorf("mincore: %w", errno)
	}
	return nil
}
