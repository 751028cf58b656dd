package render

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"cellwall/reports/digest"
	"cellwall/reports/record"
)

// Interference is what a renderer shows of a run of interferences.
type Interference struct {
	Runs  []record.Run // on one host; there is one at least
	Cells []digest.Cell
}

// errNoInterference keeps a report on nothing from looking like one on neighbours that do no harm.
var errNoInterference = errors.New("no interference to report")

// shownQuantile is the one of a matrix.
const shownQuantile = "p99"

// foundQuantiles are those in which something is looked for that hurts and can be held.
func foundQuantiles() []string { return []string{shownQuantile, "p50"} }

// interferenceMatrix is the cells of one setting: victims by antagonists.
type interferenceMatrix struct {
	setting     string
	victims     []string
	antagonists []string
	cells       map[[2]string]*digest.Cell // by victim and antagonist
}

// matrices are the cells by setting, each in the order of the records.
func (r Interference) matrices() []interferenceMatrix {
	var all []interferenceMatrix
	for i := range r.Cells {
		c := &r.Cells[i]
		at := slices.IndexFunc(all, func(m interferenceMatrix) bool { return m.setting == c.Setting })
		if at < 0 {
			at = len(all)
			all = append(all, interferenceMatrix{setting: c.Setting, cells: map[[2]string]*digest.Cell{}})
		}
		m := &all[at]
		m.cells[[2]string{c.Victim, c.Antagonist}] = c
		if !slices.Contains(m.victims, c.Victim) {
			m.victims = append(m.victims, c.Victim)
		}
		if !slices.Contains(m.antagonists, c.Antagonist) {
			m.antagonists = append(m.antagonists, c.Antagonist)
		}
	}
	return all
}

// feelingMark tells feelings apart without colour.
func feelingMark(f digest.Feeling) (mark, sgr string) {
	switch f {
	case digest.Hurt:
		return "×", "31"
	case digest.Held:
		return "█", "34"
	case digest.Between:
		return "○", "33"
	case digest.Unknown:
	}
	return "-", dim
}

// legendOfFeelings says what the marks mean.
func legendOfFeelings() string {
	return fmt.Sprintf("× hurt: more than %g times, all of the 95 %% interval   █ held: less than %g   ○ between   - not measured", digest.HurtFrom, digest.HeldBelow)
}

// ratioWords is a cell of a matrix: "12.3", or "-".
func ratioWords(c *digest.Cell) string {
	if c == nil {
		return ""
	}
	q := c.Quantile(shownQuantile)
	if q == nil || q.Ratio == nil {
		return "-"
	}
	return digits(q.Ratio.Point)
}

// intervalWords is a ratio with its interval: "12.3 (10.1 to 14.2)", or why there is none.
func intervalWords(q *digest.Quantile) string {
	if q.Ratio == nil {
		return "-"
	}
	return fmt.Sprintf("%s (%s to %s)", digits(q.Ratio.Point), digits(q.Ratio.Low), digits(q.Ratio.High))
}

// quantileWords is a quantile with its ratio, the interval and how long it is alone: "p99 12.3 (10.1 to
// 14.2) of 1.02 ms".
func quantileWords(q *digest.Quantile) string {
	return q.Name + " " + intervalWords(q) + " of " + amount(q.Alone, record.Seconds)
}

// causeWords are what the probes saw of a cell, the victim's first; not yet escaped.
func causeWords(c *digest.Cell) []string {
	var list []string
	alone, beside, other := c.AloneCauses, c.BesideCauses, c.AntagonistCauses
	stall := func(what string, beside, alone record.Stall, more string) {
		const least = 0.001 // seconds that are worth a word
		if beside.Seconds >= least {
			was := "not"
			if alone.Seconds > 0 {
				was = amount(alone.Seconds, record.Seconds)
			}
			list = append(list, fmt.Sprintf("%s %s%s, alone %s", what, amount(beside.Seconds, record.Seconds), more, was))
		}
	}
	stall("victim throttled", beside.Throttled, alone.Throttled, "")
	stall("victim waited", beside.Waited, alone.Waited, waitedWords(beside.WaitedFor))
	stall("victim freed memory", beside.Reclaimed, alone.Reclaimed, "")
	count := func(n uint64, format string) {
		if n > 0 {
			list = append(list, fmt.Sprintf(format, n))
		}
	}
	count(beside.OOMKills, "victim's tasks killed for memory: %d")
	count(beside.RefusedForks, "victim's forks refused: %d")
	if n := c.Unserved(); n > 0 {
		list = append(list, fmt.Sprintf("victim's operations not served in time: %d", n))
	}
	if a, b := c.AloneOthers.Share(), c.BesideOthers.Share(); max(a, b) >= noisyFrom {
		list = append(list, fmt.Sprintf("others took %s of the CPUs, alone %s", percent(b), percent(a)))
	}
	if other.Throttled.Seconds > 0 {
		list = append(list, "antagonist throttled "+amount(other.Throttled.Seconds, record.Seconds))
	}
	if other.Reclaimed.Seconds > 0 {
		list = append(list, "antagonist freed memory "+amount(other.Reclaimed.Seconds, record.Seconds))
	}
	count(other.OOMKills, "antagonist's tasks killed for memory: %d")
	count(other.RefusedForks, "antagonist's forks refused: %d")
	return list
}

// waitedWords says for whom a victim waited.
func waitedWords(w record.WaitedFor) string {
	if w.Antagonist <= 0 {
		return ""
	}
	return fmt.Sprintf(" (%s for the antagonist)", amount(w.Antagonist, record.Seconds))
}

// findingWords says what is known of a resource, not yet escaped.
func findingWords(f digest.Finding) string {
	if !f.Tried {
		return fmt.Sprintf("%s: it was not measured without limits", f.Resource)
	}
	if f.Hurt == nil {
		return fmt.Sprintf("%s: no antagonist hurts a victim without limits", f.Resource)
	}
	s := fmt.Sprintf("%s: %s hurts %s at %s, %s %s", f.Resource, f.Hurt.Antagonist, f.Hurt.Victim, f.Hurt.Setting, f.Quantile, intervalWords(f.Hurt.Quantile(f.Quantile)))
	switch {
	case f.Held != nil:
		return s + fmt.Sprintf("; it is held at %s, %s", f.Held.Setting, intervalWords(f.Held.Quantile(f.Quantile)))
	case f.Best != nil:
		return s + fmt.Sprintf("; nothing holds it, the best is %s, %s", f.Best.Setting, intervalWords(f.Best.Quantile(f.Quantile)))
	}
	return s + "; no limits were tried"
}

// host is that of the runs, not yet escaped.
func (r Interference) host() string {
	if len(r.Runs) == 0 {
		return Report{}.host()
	}
	return Report{Run: r.Runs[0]}.host()
}

// notes are what a reader must know of the run, not yet escaped.
func (r Interference) notes() []string {
	list := []string{fmt.Sprintf("Each cell is the victim's %s beside the antagonist over that alone under the same setting, the median of the blocks' ratios.", shownQuantile)}
	for _, run := range r.Runs {
		b := run.Benching
		if b == nil {
			continue
		}
		text := fmt.Sprintf("Turns are interleaved in ABBA blocks, seed %d: %s. Load of the host %.2f before and %.2f after", b.Seed, b.Rule, b.Before.Load[0], b.After.Load[0])
		if stolen := b.Before.Stolen(b.After); stolen > 0 {
			text += fmt.Sprintf(", %s of CPU time stolen by the hypervisor", percent(stolen))
		}
		if b.Stopped != "" {
			text += ". Not complete: " + b.Stopped
		}
		list = append(list, text+".")
	}
	for i := range r.Cells {
		if f := r.Cells[i].FenceLimits; f != "" {
			list = append(list, "Without limits victim and antagonist are still in a fence, which stands for the host: "+f+".")
			break
		}
	}
	if noisy := r.noisy(); noisy != "" {
		list = append(list, noisy)
	}
	var lacks []string
	for i := range r.Cells {
		for _, l := range r.Cells[i].Unwatched {
			if !slices.Contains(lacks, l) {
				lacks = append(lacks, l)
			}
		}
	}
	if len(lacks) > 0 {
		list = append(list, "Not seen by the probes: "+strings.Join(lacks, "; ")+".")
	}
	return list
}

// noisyFrom is the share of the CPUs that others may take before a reader has to know.
const noisyFrom = 0.1

// noisy says which cells were measured while others kept the host busy; empty where none was.
func (r Interference) noisy() string {
	worst, n := 0.0, 0
	for i := range r.Cells {
		share := max(r.Cells[i].AloneOthers.Share(), r.Cells[i].BesideOthers.Share())
		if share >= noisyFrom {
			n++
		}
		worst = max(worst, share)
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("The host was too noisy for %d of %d cells: others took up to %s of the CPUs. What a victim feels of them is in both sides of its ratio.", n, len(r.Cells), percent(worst))
}

// interferenceHeads are the columns of the table of all cells.
func interferenceHeads() []string {
	return append(append([]string{"victim", "antagonist", "setting", "alone"}, digest.QuantileNames()...), "causes")
}

// InterferenceMarkdown writes matrices and all cells for a page or a pull request.
func InterferenceMarkdown(w io.Writer, r Interference) error {
	if len(r.Cells) == 0 {
		return errNoInterference
	}
	var b bytes.Buffer
	b.WriteString("# Interference on " + EscapeMarkdown(r.host()) + "\n\n")
	for _, note := range r.notes() {
		b.WriteString(EscapeMarkdown(note) + "\n\n")
	}
	for _, f := range digest.Findings(r.Cells, foundQuantiles()...) {
		b.WriteString("- " + EscapeMarkdown(findingWords(f)) + "\n")
	}
	b.WriteString("\n" + EscapeMarkdown(legendOfFeelings()) + "\n\n")
	for _, m := range r.matrices() {
		b.WriteString("## " + EscapeMarkdown(m.setting) + "\n\n")
		markdownRow(&b, append([]string{"victim"}, m.antagonists...)...)
		b.WriteString("| --- |" + strings.Repeat(" ---: |", len(m.antagonists)) + "\n")
		for _, v := range m.victims {
			cells := []string{v}
			for _, a := range m.antagonists {
				c := m.cells[[2]string{v, a}]
				text := ratioWords(c)
				if c != nil && text != "-" {
					mark, _ := feelingMark(c.Feeling(shownQuantile))
					text += " " + mark
				}
				cells = append(cells, text)
			}
			markdownRow(&b, cells...)
		}
		b.WriteString("\n")
	}
	b.WriteString("## Cells\n\n")
	markdownRow(&b, interferenceHeads()...)
	b.WriteString(strings.Repeat("| --- ", len(interferenceHeads())) + "|\n")
	for i := range r.Cells {
		markdownRow(&b, cellWordsOf(&r.Cells[i])...)
	}
	return flush(w, &b)
}

// cellWordsOf is a line of the table of all cells.
func cellWordsOf(c *digest.Cell) []string {
	cells := []string{c.Victim, c.Antagonist, c.Setting}
	if c.Unsupported != "" {
		return append(cells, "-", "-", "-", "-", "unsupported: "+strings.TrimPrefix(c.Unsupported, "not supported: "))
	}
	cells = append(cells, amount(c.Quantiles[0].Alone, record.Seconds))
	for i := range c.Quantiles {
		cells = append(cells, intervalWords(&c.Quantiles[i]))
	}
	return append(cells, strings.Join(causeWords(c), "; "))
}
