package vm

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"cellwall/ci/vm/guest"
)

// channel reads the frames of one guest.
type channel struct {
	records        *lines
	stdout, stderr io.Writer         // may be nil
	up             func(guest.Frame) // is called for the one frame up

	frames uint64 // that came
	isUp   bool
	exit   *guest.Frame // the last one
}

// read takes frames until the end or the frame exit. An end without it is no error here: exit
// stays nil.
func (c *channel) read(r io.Reader) error {
	in := bufio.NewReaderSize(r, guest.MaxFrame)
	for c.exit == nil {
		line, err := in.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			return fmt.Errorf("the channel: frame %d is longer than %d bytes: it starts with %q", c.frames, guest.MaxFrame, line[:64])
		case err != nil:
			// QEMU closes it, and resets it where the last bytes to the guest were not read. Half
			// a frame is what a guest leaves that dies.
			return nil //nolint:nilerr // as above
		}
		f, err := parseFrame(line)
		if err != nil {
			return fmt.Errorf("the channel: after %d frames: %w", c.frames, err)
		}
		if err := c.take(f); err != nil {
			return err
		}
	}
	return c.records.end()
}

// parseFrame reads one line.
func parseFrame(line []byte) (f guest.Frame, err error) {
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil || d.More() {
		return f, fmt.Errorf("%.80q is no frame", line)
	}
	switch f.Kind {
	case guest.Up, guest.Record, guest.Stdout, guest.Stderr, guest.Exit:
		return f, nil
	}
	return f, fmt.Errorf("%.80q is a frame of an unknown kind", line)
}

func (c *channel) take(f guest.Frame) error {
	if f.Seq != c.frames {
		return fmt.Errorf("the channel: frame %d came where %d was due: records may be lost", f.Seq, c.frames)
	}
	c.frames++
	switch {
	case f.Kind == guest.Up && c.isUp:
		return fmt.Errorf("the channel: frame %d says again that the guest is up", f.Seq)
	case f.Kind == guest.Exit:
		c.exit = &f
		return nil
	case f.Kind != guest.Up && !c.isUp:
		return fmt.Errorf("the channel: frame %d, %s, came before the guest was up", f.Seq, f.Kind)
	}
	var to io.Writer
	switch f.Kind {
	case guest.Up:
		c.isUp = true
		c.up(f)
		return nil
	case guest.Record:
		return c.records.write(f.Data)
	case guest.Stdout:
		to = c.stdout
	case guest.Stderr:
		to = c.stderr
	}
	if to == nil {
		return nil
	}
	if _, err := to.Write(f.Data); err != nil {
		return fmt.Errorf("pass on the command's %s: %w", f.Kind, err)
	}
	return nil
}

// maxRecord is the longest line of a record, in bytes.
const maxRecord = 16 << 20

// lines passes on whole lines.
type lines struct {
	to   io.Writer // may be nil
	part []byte
}

func (l *lines) write(p []byte) error {
	l.part = append(l.part, p...)
	end := bytes.LastIndexByte(l.part, '\n') + 1
	if len(l.part)-end > maxRecord {
		return fmt.Errorf("a record is longer than %d bytes: it starts with %.80q", maxRecord, l.part[end:])
	}
	if end == 0 {
		return nil
	}
	if l.to != nil {
		if _, err := l.to.Write(l.part[:end]); err != nil {
			return fmt.Errorf("pass on records: %w", err)
		}
	}
	l.part = append(l.part[:0], l.part[end:]...)
	return nil
}

// end says whether the last record was whole.
func (l *lines) end() error {
	if len(l.part) > 0 {
		return fmt.Errorf("the last record has no end: it was cut off after %.80q", l.part)
	}
	return nil
}
