package load

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// atRoot makes a root directory in which antagonists can work, as if this were the program in it.
func atRoot(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, Data), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, Idle), Tiny()[Idle], 0o755); err != nil { // a program
		t.Fatal(err)
	}
	program := os.Args[0]
	os.Args[0] = filepath.Join(dir, Program)
	t.Cleanup(func() { os.Args[0] = program })
	return dir
}

func bounded(name string, w Work) *worker {
	w.Name, w.Workers = name, 1
	b := make(board, boardBytes)
	b.word(wordDeadline).Store(math.MaxInt64)
	return &worker{Work: w, board: b}
}

// noDirect skips what the file system of the tests cannot.
func noDirect(t *testing.T, err error) {
	t.Helper()
	if err != nil && (strings.Contains(err.Error(), "no direct writes") || strings.Contains(err.Error(), "operation not supported")) {
		t.Skip(err)
	}
}

// TestAntagonistsStopAtTheirCount: nobody says stop, there is time and room, and they stop all the same.
func TestAntagonistsStopAtTheirCount(t *testing.T) {
	atRoot(t)
	const count = 300
	for _, a := range antagonists() {
		if a.name == "fork" || a.name == "send" || a.name == "receive" {
			continue
		}
		t.Run(a.name, func(t *testing.T) {
			w := bounded(a.name, Work{Count: count, Bytes: 4 << 20})
			err := a.work(w)
			noDirect(t, err)
			if got := w.done().Load(); err != nil || got != count {
				t.Errorf("%d operations, want %d; %v", got, count, err)
			}
		})
	}
}

// TestAntagonistsHoldNoMoreThanTheirBytes looks at what the process has while they work.
func TestAntagonistsHoldNoMoreThanTheirBytes(t *testing.T) {
	dir := atRoot(t)
	const most = 1 << 20
	for _, a := range antagonists() {
		switch a.name {
		case "cache", "write", "direct", "fsync":
		default:
			continue
		}
		t.Run(a.name, func(t *testing.T) {
			w := bounded(a.name, Work{Count: 2000, Bytes: most})
			if a.name == "fsync" {
				w.Bytes, w.Count = 8*ioSize, 200
			}
			var largest int64
			before := scratchFiles(t, dir) // of those before this one, whose files end with this process
			done := make(chan error)
			go func() { done <- a.work(w) }()
			for {
				select {
				case err := <-done:
					noDirect(t, err)
					if err != nil || largest == 0 || largest > w.Bytes {
						t.Errorf("the largest file had %d bytes, the bound is %d; %v", largest, w.Bytes, err)
					}
					return
				default:
					for fd, size := range scratchFiles(t, dir) {
						if _, old := before[fd]; !old {
							largest = max(largest, size)
						}
					}
				}
			}
		})
	}
}

// scratchFiles are the sizes of the files without a name that this process has open below dir, by
// descriptor.
func scratchFiles(t *testing.T, dir string) map[string]int64 {
	t.Helper()
	fds, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	sizes := map[string]int64{}
	for _, fd := range fds {
		var st unix.Stat_t
		if to, err := os.Readlink(fd); err == nil && strings.HasPrefix(to, dir) && strings.HasSuffix(to, "(deleted)") && unix.Stat(fd, &st) == nil {
			sizes[fd] = st.Size
		}
	}
	return sizes
}

// TestForkKeepsToItsCount: it makes no more tasks than it may, holds them while it is on, and ends them all.
func TestForkKeepsToItsCount(t *testing.T) {
	atRoot(t)
	const count = 8
	w := bounded("fork", Work{Count: count, Bytes: 1})
	done := make(chan error)
	go func() { done <- breed(w) }()
	for w.board.of(0, wordAtWork).Load() == 0 {
		time.Sleep(time.Millisecond) //nolint:forbidigo // go test has a time limit
	}
	w.board.word(wordStop).Store(1)
	if err := <-done; err != nil || w.done().Load() != count {
		t.Errorf("%d tasks, want %d; %v", w.done().Load(), count, err)
	}
	if _, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); err != unix.ECHILD { //nolint:errorlint // a raw errno
		t.Errorf("it has left tasks: %v", err)
	}
}

// TestNetworkAntagonistsKeepToTheirBytes: each moves what it may, and then rests until its time is over.
func TestNetworkAntagonistsKeepToTheirBytes(t *testing.T) {
	const most = 1 << 20
	for _, a := range antagonists() {
		if a.name != "send" && a.name != "receive" {
			continue
		}
		t.Run(a.name, func(t *testing.T) {
			w := bounded(a.name, Work{Count: 1 << 30, Bytes: most, Rate: 1 << 30, Address: peer(t, a.name == "receive")})
			w.board.word(wordDeadline).Store(monotonic() + int64(200*time.Millisecond))
			if err := a.work(w); err != nil {
				t.Fatal(err)
			}
			// What is less than a datagram is not sent, and the last read may bring more than was left.
			if got := w.done().Load(); got <= most-datagram || got > most+farBytes || a.name == "send" && got > most {
				t.Errorf("%d bytes, the bound is %d", got, most)
			}
			if monotonic() < w.board.word(wordDeadline).Load() {
				t.Error("it ended before its time")
			}
		})
	}
}

// peer is the other end on the loopback interface: one that sends, or one that does not read.
func peer(t *testing.T, source bool) (address string) {
	t.Helper()
	if !source {
		fd, err := bound(unix.SOCK_DGRAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Close(fd) })
		return addressOf(t, fd)
	}
	fd, err := listenAt(0)
	if err != nil {
		t.Fatal(err)
	}
	f := &farEnd{source: fd, echo: -1, peers: map[int]bool{}}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				f.serve(fd)
				for peer := range f.peers {
					f.serve(peer)
				}
			}
		}
	}()
	t.Cleanup(func() {
		close(stop)
		<-stopped
		_ = unix.Close(fd)
		for peer := range f.peers {
			_ = unix.Close(peer)
		}
	})
	return addressOf(t, fd)
}

func addressOf(t *testing.T, fd int) string {
	t.Helper()
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	at, ok := name.(*unix.SockaddrInet4)
	if !ok {
		t.Fatalf("the address is a %T", name)
	}
	return fmt.Sprintf("127.0.0.1:%d", at.Port)
}
