package sentinel

import (
	"testing"
	"time"
)

func TestExceeded(t *testing.T) {
	before := [2]ioUse{{readBytes: 4096, writtenBytes: 4096}, {reads: 1, writes: 1}}
	for _, c := range []struct {
		name      string
		after     [2]ioUse
		window    time.Duration
		breached  bool
		undecided bool
	}{
		{"within", [2]ioUse{{readBytes: 1 << 20, writtenBytes: 1 << 20}, {reads: 50, writes: 50}}, ioWindow, false, false},
		{"writes beyond", [2]ioUse{{readBytes: 1 << 20, writtenBytes: 1 << 20}, {reads: 50, writes: 500}}, ioWindow, true, false},
		{"nothing read", [2]ioUse{{readBytes: 4096, writtenBytes: 1 << 20}, {reads: 50, writes: 50}}, ioWindow, false, true},
		{"the end was not seen", [2]ioUse{}, 0, false, true},
	} {
		f, err := exceeded(before, c.after, c.window)
		if f.Breached != c.breached || (err != nil) != c.undecided {
			t.Errorf("%s: %t, %v, want %t, undecided %t", c.name, f.Breached, err, c.breached, c.undecided)
		}
	}
}
