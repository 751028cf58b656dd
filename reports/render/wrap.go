package render

import (
	"bytes"
	"strings"

	"github.com/clipperhouse/displaywidth"
)

// page collects text for a terminal. Its methods take raw text and escape it.
type page struct {
	bytes.Buffer
	Text
}

func (p *page) line(s string) { p.WriteString(s + "\n") }

// paint colours escaped text where colour was asked for.
func (p *page) paint(sgr, s string) string {
	if p.Style != Colour || sgr == "" || s == "" {
		return s
	}
	return "\x1b[" + sgr + "m" + s + "\x1b[0m"
}

// hang writes text from column at on, where the line already is, and wraps it with that indent.
func (p *page) hang(at int, sgr, text string) {
	for i, l := range wrap(EscapeTerminal(text), p.room(at)) {
		if i > 0 {
			p.WriteString(strings.Repeat(" ", at))
		}
		p.line(p.paint(sgr, l))
	}
}

// room is what a line has left from a column on; 0 means that it is not limited.
func (p *page) room(at int) int {
	if p.Width <= 0 {
		return 0
	}
	return max(p.Width-at, 16) // less than that is no column: better too wide than one word a line
}

// pad fills escaped text with spaces up to a width in columns, or cuts it to that.
func pad(s string, width int) string {
	if displaywidth.String(s) > width {
		s = displaywidth.TruncateString(s, width, "…")
	}
	return s + strings.Repeat(" ", max(width-displaywidth.String(s), 0))
}

func padLeft(s string, width int) string {
	return strings.Repeat(" ", max(width-displaywidth.String(s), 0)) + s
}

// wrap breaks escaped text into lines of at most width columns, at spaces where it can.
func wrap(s string, width int) []string {
	if width <= 0 || displaywidth.String(s) <= width {
		return []string{s}
	}
	var lines []string
	line, used := "", 0
	for word := range strings.FieldsSeq(s) {
		n := displaywidth.String(word)
		switch {
		case line != "" && used+1+n <= width:
			line, used = line+" "+word, used+1+n
			continue
		case line != "":
			lines = append(lines, line)
		}
		for n > width {
			head := displaywidth.TruncateString(word, width, "")
			if head == "" { // one character wider than the line
				break
			}
			lines = append(lines, head)
			word = word[len(head):]
			n = displaywidth.String(word)
		}
		line, used = word, n
	}
	return append(lines, line)
}
