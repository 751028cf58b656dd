//go:build !amd64

package attack

import "golang.org/x/sys/unix"

// int80 is an ABI of x86 alone.
func int80(_, _ uintptr) int32 { return -int32(unix.ENOSYS) }
