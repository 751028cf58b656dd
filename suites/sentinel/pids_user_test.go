package sentinel

import (
	"errors"
	"testing"

	"cellwall/runtime/kernel"
)

// TestUserFull: in a user namespace of its own a container is not to blame for a kernel that does not count by it.
func TestUserFull(t *testing.T) {
	for _, c := range []struct {
		said                         string
		nested                       bool
		breached, unsupported, fails bool
	}{
		{said: "ok"},
		{said: "ok", nested: true},
		{said: "EAGAIN", breached: true},
		{said: "EAGAIN", nested: true, unsupported: true, fails: true},
		{said: "ENOMEM", nested: true, fails: true},
	} {
		f, err := userFull(c.said, c.nested)
		if f.Breached != c.breached || errors.Is(err, kernel.ErrNotSupported) != c.unsupported || (err != nil) != c.fails {
			t.Errorf("%+v: breached %v, %v", c, f.Breached, err)
		}
	}
}
