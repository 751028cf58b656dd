package driver

import (
	"os"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestSaidEndsWithoutAListener: a container that fills a pipe which nobody reads cannot keep its
// own deletion from ending.
func TestSaidEndsWithoutAListener(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close() //nolint:errcheck // read-only
	size, err := unix.FcntlInt(write.Fd(), unix.F_GETPIPE_SZ, 0)
	if err != nil {
		t.Fatal(err)
	}
	s, err := newSaid(write)
	if err != nil {
		t.Fatal(err)
	}
	if err := write.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.write.WriteString(strings.Repeat("x", 2*size)); err != nil {
		t.Fatal(err)
	}
	// Until the pipe is full, and more is in the hands of the one who passes it on.
	for waiting(t, read) < size || waiting(t, s.read) > size-maxSaid {
		runtime.Gosched()
	}
	if err := s.write.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.close(); err == nil || !strings.Contains(err.Error(), "nobody reads") {
		t.Errorf("close: %v, want an error that nobody reads", err)
	}
}

// waiting is how many bytes lie in a pipe.
func waiting(t *testing.T, f *os.File) int {
	t.Helper()
	conn, err := f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	if err := conn.Control(func(fd uintptr) { n, err = unix.IoctlGetInt(int(fd), unix.TIOCINQ) }); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return n
}
