package kernel

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

// TestExitStatusOfARecycledPid: somebody waits for the process between the two questions, and the pid is then
// another's.
func TestExitStatusOfARecycledPid(t *testing.T) {
	const its, anothers = unix.WaitStatus(7 << 8), unix.WaitStatus(3 << 8)
	for _, c := range []struct {
		name      string
		status    unix.WaitStatus // what stands in /proc of the other
		err       error
		forgotten bool // a kernel whose pidfd keeps no exit status
	}{
		{name: "a zombie", status: anothers},
		{name: "a zombie, and nothing is kept", status: anothers, forgotten: true},
		{name: "one that runs", err: ErrRunning},
		{name: "nobody", err: unix.ESRCH},
	} {
		t.Run(c.name, func(t *testing.T) {
			waited := false
			ask := func() (unix.WaitStatus, error) {
				switch {
				case !waited:
					return 0, ErrRunning
				case c.forgotten:
					return 0, Unsupported("nothing is kept")
				}
				return its, nil
			}
			read := func() (unix.WaitStatus, error) { waited = true; return c.status, c.err }
			status, err := exitStatus(ask, read)
			if c.forgotten {
				if !errors.Is(err, ErrNotSupported) {
					t.Errorf("status %#x, %v, want that the kernel has forgotten", status, err)
				}
			} else if status != its || err != nil {
				t.Errorf("status %#x, %v, want %#x", status, err, its)
			}
		})
	}
}
