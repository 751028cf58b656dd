package attack

import (
	"errors"
	"fmt"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Marked is the sixth argument of the calls that stopMarked stops.
const Marked = 0x63656c6c

// stopMarked adds a filter to the calling thread's, after which the kernel makes none of the
// calls if they are Marked: what passes the container's filter gets ENOSYS. So any call can be tried
// at any rung, reboot(2) and exit(2) too.
//
// It does so by SECCOMP_RET_TRACE: an errno of another filter goes before it, and without a tracer
// that wants PTRACE_EVENT_SECCOMP the call is skipped with ENOSYS (seccomp(2)).
func stopMarked(calls []Call) error {
	const number, sixth = 0, 56 // offsets in struct seccomp_data: nr, and the low half of args[5]
	allow := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW}
	stop := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_TRACE}
	load := func(at uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: at}
	}
	equal := func(value uint32, yes, no uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: yes, Jf: no, K: value}
	}
	filter := []unix.SockFilter{load(sixth), equal(Marked, 1, 0), allow, load(number)}
	stopped := map[uintptr]bool{}
	probe := Call{Number: unix.SYS_GETPPID, Args: [6]uintptr{5: Marked}}
	for _, c := range slices.Concat(calls, []Call{probe}) {
		if !stopped[c.Number] {
			stopped[c.Number] = true
			filter = append(filter, equal(uint32(c.Number), 0, 1), stop)
		}
	}
	filter = append(filter, allow)
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("set no_new_privs: %w", err)
	}
	if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&program))); errno != 0 {
		return fmt.Errorf("add a filter: %w", errno)
	}
	if errno := probe.raw(); errno != unix.ENOSYS {
		return errors.New("the filter does not stop getppid")
	}
	return nil
}
