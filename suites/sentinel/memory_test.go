package sentinel

import (
	"errors"
	"testing"

	"cellwall/runtime/kernel"
)

// TestKillsAtLimit: only swap that is there and counted to nobody is a way out of a limit of memory.
func TestKillsAtLimit(t *testing.T) {
	no := kernel.Unsupported("it")
	for _, c := range []struct {
		swap, accounting error
		lacks            bool
	}{
		{},
		{swap: no},
		{swap: no, accounting: no},
		{accounting: no, lacks: true},
		{accounting: errors.New("no cgroup to look at")},
	} {
		if err := killsAtLimit(c.swap, c.accounting); errors.Is(err, kernel.ErrNotSupported) != c.lacks || err != nil && !c.lacks {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
