package driver

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// said keeps the start of what a tool and its container write to their standard error, and passes
// all of it on.
type said struct {
	write *os.File

	read *os.File
	done chan struct{}
	kept bytes.Buffer // until done
}

const maxSaid = 4 << 10

// newSaid passes on to a copy of a file, which may be closed meanwhile; nil is nowhere.
func newSaid(to *os.File) (*said, error) {
	var out *os.File
	if to != nil {
		fd, err := unix.FcntlInt(to.Fd(), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return nil, fmt.Errorf("copy the container's standard error: %w", err)
		}
		out = os.NewFile(uintptr(fd), to.Name())
	}
	read, write, err := os.Pipe()
	if err != nil {
		if out != nil {
			err = errors.Join(err, out.Close())
		}
		return nil, fmt.Errorf("make a pipe: %w", err)
	}
	s := &said{read: read, write: write, done: make(chan struct{})}
	go s.pass(out)
	return s, nil
}

func (s *said) pass(out *os.File) {
	defer close(s.done)
	b := make([]byte, maxSaid)
	for {
		n, err := s.read.Read(b)
		s.kept.Write(b[:min(n, maxSaid-s.kept.Len())])
		if out != nil {
			_, _ = out.Write(b[:n]) // nobody may listen any more
		}
		if err != nil {
			if out != nil {
				_ = out.Close()
			}
			return
		}
	}
}

// text is what was said, as one line, once all who could say more have ended.
func (s *said) text() string {
	select {
	case <-s.done:
		return inOneLine(s.kept.String())
	case <-time.After(drained):
		return ""
	}
}

func inOneLine(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == '\n' }), "; ")
}

// close ends the passing on. What is in the way of a reader that does not read is lost.
func (s *said) close() error {
	err := s.read.Close()
	select {
	case <-s.done:
		return err
	case <-time.After(drained):
		return errors.Join(err, errors.New("nobody reads the container's standard error"))
	}
}
