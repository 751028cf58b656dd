// Package render turns stored records into text, Markdown, JUnit XML and pictures.
//
// It counts nothing and decides nothing: numbers come from package record. Every text of a
// record is hostile here, and passes the one escape function of its target: EscapeTerminal,
// EscapeMarkdown, EscapeXML or EscapeSARIF. Do not use it to store results: that is record's job.
package render

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
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

// Styles of text.
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

// ByRuntime returns a report for each runtime, in their order, without those that have no verdicts.
func (r Report) ByRuntime() []Report {
	var all []Report
	for _, part := range record.Split(r.Verdicts, func(v *record.Verdict) string { return v.Runtime }) {
		one := Report{Run: r.Run, Verdicts: part.Verdicts}
		one.Run.Runtimes, one.Run.Absent, one.Run.Idle, one.Run.Unasked = nil, nil, nil, nil
		for _, rt := range r.Run.Runtimes {
			if rt.Name == part.Name {
				one.Run.Runtimes = append(one.Run.Runtimes, rt)
			}
		}
		all = append(all, one)
	}
	return all
}

// parts splits verdicts by runtime and rung: what one summary line speaks of.
func (r Report) parts() []record.Part {
	return record.Split(r.Verdicts, func(v *record.Verdict) string { return v.Runtime + "\x00" + v.Rung })
}

// names returns what to call each part: its runtime, and its rung where not all have the same.
func names(parts []record.Part) []string {
	sameRung := len(record.Split(firsts(parts), func(v *record.Verdict) string { return v.Rung })) == 1
	var list []string
	for _, v := range firsts(parts) {
		if sameRung {
			list = append(list, v.Runtime)
		} else {
			list = append(list, v.Runtime+" at "+v.Rung)
		}
	}
	return list
}

// firsts returns the first verdict of each part, which shows what all of them share.
func firsts(parts []record.Part) []record.Verdict {
	var list []record.Verdict
	for _, p := range parts {
		list = append(list, p.Verdicts[0])
	}
	return list
}

// notes are what a reader must know before comparing, not yet escaped: what was not there or not asked
// at all, and that not all ran at the same rung.
func (r Report) notes() []string {
	var list []string
	if len(r.Run.Absent) > 0 {
		list = append(list, "Not on this host, and not verified: "+strings.Join(r.Run.Absent, ", "))
	}
	list = append(list, r.Run.Idle...)
	if len(r.Run.Unasked) > 0 {
		list = append(list, "Without a guarantee of the selection, and not verified: "+strings.Join(r.Run.Unasked, ", "))
	}
	parts := r.parts()
	if !several(parts) {
		return list
	}
	var rungs []string
	for _, p := range record.Split(firsts(parts), func(v *record.Verdict) string { return v.Rung }) {
		var runtimes []string
		for _, v := range p.Verdicts {
			runtimes = append(runtimes, v.Runtime)
		}
		rungs = append(rungs, p.Name+": "+strings.Join(runtimes, ", "))
	}
	if len(rungs) > 1 {
		list = append(list, "Not all ran at the same rung: "+strings.Join(rungs, "; "))
	}
	return list
}

// several reports whether parts are of more than one runtime.
func several(parts []record.Part) bool {
	return len(record.Split(firsts(parts), func(v *record.Verdict) string { return v.Runtime })) > 1
}

func byGroup(verdicts []record.Verdict) []record.Part {
	return record.Split(verdicts, func(v *record.Verdict) string { return v.Group })
}
