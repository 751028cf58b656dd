package sentinel

import (
	"errors"
	"testing"

	"cellwall/runtime/kernel"
)

// TestUserFull: in a user namespace of its own a container is not to blame for a kernel that does not count by
// it yet, as from 5.14 on it has to.
func TestUserFull(t *testing.T) {
	before, since := kernel.Version{Major: 5, Minor: 13}, kernel.Version{Major: 5, Minor: 14}
	for _, c := range []struct {
		said                         string
		nested                       bool
		release                      kernel.Version
		breached, unsupported, fails bool
	}{
		{said: "ok", release: before},
		{said: "ok", nested: true, release: before},
		{said: "ok", nested: true, release: since},
		{said: "EAGAIN", release: before, breached: true},
		{said: "EAGAIN", release: since, breached: true},
		{said: "EAGAIN", nested: true, release: before, unsupported: true, fails: true},
		{said: "EAGAIN", nested: true, release: since, breached: true},
		{said: "ENOMEM", nested: true, release: before, fails: true},
		{said: "ENOMEM", nested: true, release: since, fails: true},
	} {
		f, err := userFull(c.said, c.nested, c.release)
		if f.Breached != c.breached || errors.Is(err, kernel.ErrNotSupported) != c.unsupported || (err != nil) != c.fails {
			t.Errorf("%+v: breached %v, %v", c, f.Breached, err)
		}
	}
}
