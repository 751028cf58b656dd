package render

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"cellwall/reports/history"
)

// History is what a renderer shows of a history.
type History struct {
	Dir     string
	Runs    int
	Asked   string // which runs: "the newest 30 runs of each series"
	Series  []*history.Series
	Changes []*history.Change // of the series; those that do not stand among all of them too
	Notes   []string          // what makes the order doubtful
}

// errNoSeries keeps a report on nothing from looking like one on a history in which nothing changes.
var errNoSeries = errors.New("no series to report")

// found are the changes that stand, those that are worse and not known first.
func (h History) found() []*history.Change {
	var lists [3][]*history.Change
	for _, c := range h.Changes {
		switch {
		case !c.Found():
		case c.Worse() && c.Ack == nil:
			lists[0] = append(lists[0], c)
		case c.Worse():
			lists[1] = append(lists[1], c)
		default:
			lists[2] = append(lists[2], c)
		}
	}
	return slices.Concat(lists[0], lists[1], lists[2])
}

// Regressions are the changes to the worse that stand and that nobody knows.
func (h History) Regressions() []*history.Change {
	return slices.DeleteFunc(h.found(), func(c *history.Change) bool { return !c.Worse() || c.Ack != nil })
}

func seriesWords(s *history.Series) string {
	return fmt.Sprintf("%s on %s at %s (%s)", s.Benchmark, s.Runtime, s.Rung, s.Host)
}

const day = "2006-01-02 15:04"

// changeWords are the facts of a change, not yet escaped.
func changeWords(c *history.Change) []string {
	before, after := c.Points[c.At-1].Run, c.Points[c.At].Run
	lines := []string{
		fmt.Sprintf("%s from %s to %s: by a factor of %s (%s)", after.Time.UTC().Format(day), before.Commit, after.Commit,
			factor(c.Ratio.Point), factorSpread(c.Ratio)),
		"first run " + after.ID,
	}
	if c.Adjusted > 0 { // otherwise it was not looked for among all
		lines[0] += ", p " + probability(c.Adjusted)
	}
	if c.Low < c.High {
		low, high := c.Points[c.Low].Run, c.Points[c.High].Run
		lines[1] += fmt.Sprintf("; it may be one of %d, from %s (%s) to %s (%s)", c.High-c.Low+1, low.ID, low.Commit, high.ID, high.Commit)
	}
	if c.Ack != nil {
		lines = append(lines, "known: "+c.Ack.Reason)
	}
	return lines
}

// HistoryText writes what has changed, those changes that are worse and not known first, and last a line that
// sums it up.
func HistoryText(w io.Writer, h History, t Text) error {
	if len(h.Series) == 0 {
		return errNoSeries
	}
	p := &page{Text: t}
	for _, c := range h.found() {
		word, sgr := "better", lookHeld.sgr()
		switch {
		case c.Worse() && c.Ack == nil:
			word, sgr = "WORSE", lookBreached.sgr()
		case c.Worse():
			word, sgr = "worse", lookKnown.sgr()
		}
		p.WriteString(p.paint(sgr, pad(word, len("better"))) + "  ")
		p.hang(8, bold, seriesWords(c.Series))
		for _, line := range changeWords(c) {
			p.WriteString(strings.Repeat(" ", 8))
			p.hang(10, "", line)
		}
		p.line("")
	}
	for _, note := range h.Notes {
		p.hang(0, "", note)
	}
	p.hang(0, "", h.sum())
	return flush(w, &p.Buffer)
}

// sum is the last line.
func (h History) sum() string {
	short, known, better := 0, 0, 0
	for _, s := range h.Series {
		if len(s.Points) < history.MinRuns {
			short++
		}
	}
	for _, c := range h.found() {
		switch {
		case !c.Worse():
			better++
		case c.Ack != nil:
			known++
		}
	}
	text := fmt.Sprintf("%s: %s, %d series, %s: %d worse, %d better", h.Dir, counted(h.Runs, "run"), len(h.Series), h.Asked, len(h.Regressions()), better)
	if known > 0 {
		text += fmt.Sprintf(", %d worse and known", known)
	}
	if short > 0 {
		text += fmt.Sprintf(", %d too short to tell (less than %d runs)", short, history.MinRuns)
	}
	return text
}
