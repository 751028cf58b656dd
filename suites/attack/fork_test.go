package attack

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// A forked child is alone, answers for each call, and ends when it is told.
func TestFork(t *testing.T) {
	f, err := fork(0,
		rawCall{number: unix.SYS_GETPID},
		rawCall{number: unix.SYS_CLOSE, first: 1 << 20},
		rawCall{number: unix.SYS_UNSHARE, first: unix.CLONE_THREAD}, // only one thread alone may
	)
	if err != nil {
		t.Fatal(err)
	}
	if f.pid == os.Getpid() || f.pid <= 0 {
		t.Errorf("pid %d", f.pid)
	}
	for i, want := range []unix.Errno{0, unix.EBADF, 0} {
		if f.errnos[i] != want {
			t.Errorf("call %d answered %v, want %v", i, f.errnos[i], want)
		}
	}
	if err := unix.Kill(f.pid, 0); err != nil {
		t.Errorf("it does not wait: %v", err)
	}
	if err := f.end(); err != nil {
		t.Error(err)
	}
	if err := unix.Kill(f.pid, 0); !errors.Is(err, unix.ESRCH) {
		t.Errorf("it did not end: %v", err)
	}
}
