package command

import (
	"errors"
	"io"
	"os"
	"os/signal"

	"github.com/charmbracelet/x/term"
	"golang.org/x/sys/unix"
)

// streams joins a container's terminal to ours.
type streams struct {
	console  *os.File
	restore  func()
	finished chan struct{}
}

// connect copies between the container's terminal and our streams until the container ends.
// Our own terminal is made raw meanwhile. Without a terminal there is nothing to do.
func connect(console *os.File, in io.Reader, out io.Writer) (*streams, error) {
	s := &streams{console: console, restore: func() {}, finished: make(chan struct{})}
	if console == nil {
		close(s.finished)
		return s, nil
	}
	if f, ok := in.(*os.File); ok && term.IsTerminal(f.Fd()) {
		old, err := term.MakeRaw(f.Fd())
		if err != nil {
			return nil, err
		}
		resized := make(chan os.Signal, 1)
		signal.Notify(resized, unix.SIGWINCH)
		s.restore = func() {
			signal.Stop(resized)
			close(resized)
			_ = term.Restore(f.Fd(), old)
		}
		go func() {
			s.resize(f)
			for range resized {
				s.resize(f)
			}
		}()
	}
	// Ends with the process: a read of our input cannot be called back.
	go func() { _, _ = io.Copy(console, in) }()
	go func() {
		defer close(s.finished)
		_, err := io.Copy(out, console)
		// EIO is how a terminal's master says that nobody has the other end any more.
		if err != nil && !errors.Is(err, unix.EIO) && !errors.Is(err, os.ErrClosed) {
			_, _ = io.WriteString(out, "\r\ncellwall: "+err.Error()+"\r\n")
		}
	}()
	return s, nil
}

// resize gives the container's terminal the size of ours.
func (s *streams) resize(ours *os.File) {
	size, err := unix.IoctlGetWinsize(int(ours.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return
	}
	conn, err := s.console.SyscallConn()
	if err != nil {
		return
	}
	_ = conn.Control(func(fd uintptr) { _ = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, size) })
}

// drain waits until all that the program wrote is shown.
func (s *streams) drain() { <-s.finished }

func (s *streams) close() { s.restore() }
