package vm

import (
	"io"
	"regexp"
	"strings"
	"sync"
	"unicode"

	"cellwall/ci/vm/guest"
)

// Bounds of what is kept of a console.
const (
	tailLines = 40
	tailWidth = 400 // bytes
)

// console keeps the last lines of what a guest prints, and passes all of it on. It is safe for
// concurrent use.
type console struct {
	mu        sync.Mutex
	to        io.Writer // may be nil
	lines     []string
	last      []byte // a line without its end
	complaint string // of the guest's init
}

// Write always takes everything: what the caller's writer says is told by the error alone.
func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	for _, b := range p {
		if b == '\n' {
			c.endLine()
		} else if len(c.last) < tailWidth {
			c.last = append(c.last, b)
		}
	}
	c.mu.Unlock()
	if c.to == nil {
		return len(p), nil
	}
	_, err := c.to.Write(p)
	return len(p), err
}

func (c *console) endLine() {
	line := clean(string(c.last))
	c.last = c.last[:0]
	if line == "" {
		return
	}
	// A kernel may print in the middle of it, so not only at the start of a line.
	if _, after, ok := strings.Cut(line, guest.Complaint); ok && c.complaint == "" {
		c.complaint = after
	}
	if len(c.lines) == tailLines {
		c.lines = append(c.lines[:0], c.lines[1:]...)
	}
	c.lines = append(c.lines, line)
}

// tail returns the last lines, and what init complained of, "" if it did not.
func (c *console) tail() (lines []string, complaint string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.last) > 0 {
		c.endLine()
	}
	return append([]string(nil), c.lines...), c.complaint
}

// escapes are the control sequences with which firmware clears its screen, console_codes(4).
var escapes = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\x1b(\[[0-9;?=]*[a-zA-Z]|c)`) })

// clean makes a line of a console safe to show: what it prints is not ours.
func clean(line string) string {
	line = escapes().ReplaceAllString(line, "")
	line = strings.Map(func(r rune) rune {
		if r != '\t' && !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(line, "?"))
	return strings.TrimSpace(line)
}
