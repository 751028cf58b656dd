// Package render turns stored records into text, Markdown, JUnit XML and pictures.
//
// It counts nothing and decides nothing: numbers come from package record. Every text of a
// record is hostile here, and passes the one escape function of its target: EscapeTerminal,
// EscapeMarkdown or EscapeXML. Do not use it to store results: that is record's job.
package render

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"cellwall/reports/record"
)

// Report is what a renderer shows: a run and its verdicts, in the order of the catalogue.
type Report struct {
	Run      record.Run
	Verdicts []record.Verdict
	Elapsed  time.Duration // of the whole run by the wall clock; 0: not known, not shown
}

// Style says whether text is coloured. The zero value is Plain.
type Style int

const (
	Plain  Style = iota
	Colour       // by the terminal's own 8 colours, so that its theme decides; no meaning rests on colour alone
)

// Text says how text for a terminal looks. The zero value is plain, unwrapped and brief.
type Text struct {
	Style   Style
	Width   int  // columns; 0: no wrapping. Commands to copy are never wrapped.
	Verbose bool // every try of the attacker, the controls and the run with the barrier alone
}

// errEmpty keeps a report on nothing from looking like a report on no breach.
var errEmpty = errors.New("no verdict to report")

// flush writes a finished report at once, so that an error leaves none behind that looks whole.
func flush(w io.Writer, b *bytes.Buffer) error {
	if _, err := w.Write(b.Bytes()); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

// parts splits verdicts by runtime and rung: what one summary line speaks of.
func (r Report) parts() []record.Part {
	return record.Split(r.Verdicts, func(v *record.Verdict) string { return v.Runtime + "\x00" + v.Rung })
}

func byGroup(verdicts []record.Verdict) []record.Part {
	return record.Split(verdicts, func(v *record.Verdict) string { return v.Group })
}
