package kernel

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestUntilVerified(t *testing.T) {
	for _, c := range []struct {
		name    string
		answers []unix.Errno // the last one stays
		want    unix.Errno
		loads   int
	}{
		{name: "at once", answers: []unix.Errno{0}, loads: 1},
		{name: "after two signals", answers: []unix.Errno{unix.EAGAIN, unix.EAGAIN, 0}, loads: 3},
		{name: "refused", answers: []unix.Errno{unix.EPERM}, want: unix.EPERM, loads: 1},
		{name: "refused after a signal", answers: []unix.Errno{unix.EAGAIN, unix.EPERM}, want: unix.EPERM, loads: 2},
		{name: "never", answers: []unix.Errno{unix.EAGAIN}, want: unix.EAGAIN, loads: 30},
	} {
		loads := 0
		got := untilVerified(func() unix.Errno {
			loads++
			return c.answers[min(loads, len(c.answers))-1]
		})
		if got != c.want || loads != c.loads {
			t.Errorf("%s: %v after %d loads", c.name, got, loads)
		}
	}
}
