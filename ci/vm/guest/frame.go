package guest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
)

// Kind says what a frame is.
type Kind string

// The kinds of frames. A guest sends one Up, then any of the three streams, then one Exit.
const (
	Up     Kind = "up"
	Record Kind = "record" // what the command wrote to descriptor 3
	Stdout Kind = "stdout"
	Stderr Kind = "stderr"
	Exit   Kind = "exit"
)

// Frame is one line of the channel, as JSON. A stream is cut into frames anywhere: joined in
// their order, the Data of a kind are what was written, byte by byte.
type Frame struct {
	Seq  uint64 `json:"seq"` // from 0, without gaps
	Kind Kind   `json:"kind"`
	Data []byte `json:"data,omitempty"` // of a stream; at most ChunkSize bytes

	Release string   `json:"release,omitempty"` // of Up: uname -r
	Notes   []string `json:"notes,omitempty"`   // of Up: what the guest lacks, and why

	Code  int    `json:"code,omitempty"`  // of Exit: the command's exit status, or 128 and its signal
	Error string `json:"error,omitempty"` // of Exit: why there was no command to run
}

// Bounds of the channel, in bytes.
const (
	// ChunkSize is what a frame carries at most. The driver copies 32 KiB in one piece
	// (port_fops_write of drivers/char/virtio_console.c).
	ChunkSize = 16 << 10
	// MaxFrame is the longest line: Data grows by a third.
	MaxFrame = 64 << 10
)

// Ack is the byte with which the outside answers Exit: everything before it has arrived. A
// virtio-serial port cannot be drained, and what is in its queue is lost when the power goes.
const Ack = 'A'

// sender numbers frames and writes them. A write waits for the outside, so that a command that
// writes faster than it is read waits too, and nothing is lost.
type sender struct {
	mu  sync.Mutex
	w   io.Writer
	seq uint64
}

func (s *sender) send(f Frame) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.Seq = s.seq
	line, err := json.Marshal(f)
	if err != nil {
		return err
	}
	if _, err := s.w.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("send frame %d: %w", f.Seq, err)
	}
	s.seq++
	return nil
}

// forward sends what r gives until its end.
func (s *sender) forward(kind Kind, r io.Reader) error {
	buf := make([]byte, ChunkSize)
	for {
		n, err := r.Read(buf)
		if n > 0 {
			if err := s.send(Frame{Kind: kind, Data: buf[:n]}); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the command's %s: %w", kind, err)
		}
	}
}
