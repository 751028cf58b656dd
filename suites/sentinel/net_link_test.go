package sentinel

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// TestListenerThatCannotBindIsClosed: as one of ::1 where the loopback device is down.
func TestListenerThatCannotBindIsClosed(t *testing.T) {
	open := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	before := open()
	var s Stage
	nobodys := &unix.SockaddrInet4{Addr: [4]byte{192, 0, 2, 1}} // RFC 5737: for documentation
	if _, _, err := s.listenTCP(nobodys, 1, false); !errors.Is(err, unix.EADDRNOTAVAIL) {
		t.Fatal(err)
	}
	if err := s.Undo.Close(); err != nil {
		t.Error(err)
	}
	if after := open(); after != before {
		t.Errorf("%d descriptors are open, %d were before", after, before)
	}
}
