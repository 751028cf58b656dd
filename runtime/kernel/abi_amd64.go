package kernel

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

const (
	i386Getpid = 20      // its number in arch/x86/entry/syscalls/syscall_32.tbl
	x32Bit     = 1 << 30 // __X32_SYSCALL_BIT
)

// probeI386 makes an i386 system call from a 64-bit process. Without the ABI int 0x80 is a
// general protection fault, so a child with its own memory tries it, and without a core dump.
func probeI386() error {
	err := inFork(0,
		do("prctl", unix.SYS_PRCTL, unix.PR_SET_DUMPABLE, 0),
		call{name: "int 0x80", number: i386Getpid, how: byInterrupt, asked: true})
	var killed *killedError
	if errors.As(err, &killed) && killed.asked && killed.signal == unix.SIGSEGV {
		return absent(NotBuilt, "int 0x80 faults")
	}
	return refused(err, "")
}

func probeX32() error {
	pid, _, errno := unix.RawSyscall(unix.SYS_GETPID|x32Bit, 0, 0, 0)
	if errno != 0 {
		return refused(errno, "")
	}
	if int(pid) != os.Getpid() {
		return absent(NotBuilt, "getpid answers %d", pid)
	}
	return nil
}
