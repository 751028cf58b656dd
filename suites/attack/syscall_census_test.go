package attack

import (
	"runtime"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// onFilteredThread runs f on a thread that ends with it, and its filters too.
func onFilteredThread(f func()) {
	done := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer close(done)
		f()
	}()
	<-done
}

// refuse adds a filter that answers an errno to one call.
func refuse(number uint32, errno unix.Errno) error {
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: number, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(errno)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	_, _, errno = unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&program)))
	return asError(errno)
}

// TestStopMarked: a call in the list is not made if it is marked, and an earlier filter's errno
// is seen. All calls here are harmless.
func TestStopMarked(t *testing.T) {
	marked := [6]uintptr{5: Marked}
	list := []Call{
		{Number: unix.SYS_GETUID, Args: marked},
		{Number: unix.SYS_GETGID, Args: marked},
		{Number: unix.SYS_GETGID, Args: [6]uintptr{1, 5: Marked}},
	}
	onFilteredThread(func() {
		if err := refuse(unix.SYS_GETGID, unix.ENOTUNIQ); err != nil {
			t.Errorf("add an earlier filter: %v", err)
			return
		}
		if err := stopMarked(list); err != nil {
			t.Error(err)
			return
		}
		for _, c := range []struct {
			call Call
			want unix.Errno
		}{
			{call: list[0], want: unix.ENOSYS},
			{call: list[1], want: unix.ENOTUNIQ},
			{call: list[2], want: unix.ENOTUNIQ},
			{call: Call{Number: unix.SYS_GETUID}},
			{call: Call{Number: unix.SYS_GETUID, Args: [6]uintptr{5: Marked + 1}}},
			{call: Call{Number: unix.SYS_GETEUID, Args: marked}}, // not in the list
			{call: Call{Number: unix.SYS_GETPPID}},
		} {
			if got := c.call.raw(); got != c.want {
				t.Errorf("call %d%#x: errno %d, want %d", c.call.Number, c.call.Args, got, c.want)
			}
		}
	})
}

// TestStopMarkedIsSeenToWork: where the filter is not what answers, no call of the list may be made.
func TestStopMarkedIsSeenToWork(t *testing.T) {
	onFilteredThread(func() {
		if err := refuse(unix.SYS_GETPPID, unix.ENOTUNIQ); err != nil {
			t.Errorf("add an earlier filter: %v", err)
			return
		}
		if err := stopMarked(nil); err == nil {
			t.Error("a filter that was not seen to stop a call is taken for one that does")
		}
	})
}
