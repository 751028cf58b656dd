package render

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"cellwall/reports/digest"
	"cellwall/reports/record"
)

// Bench is what a renderer shows of a run of benchmarks.
type Bench struct {
	Run  record.Run
	Rows []digest.Row
}

// errNoBench keeps a report on nothing from looking like one on a run.
var errNoBench = errors.New("no benchmark to report")

// benchGroup is the rows of one group.
type benchGroup struct {
	name string
	rows []digest.Row
}

// groups are the rows by group, in their order.
func (r Bench) groups() []benchGroup {
	var all []benchGroup
	for _, row := range r.Rows {
		if len(all) == 0 || all[len(all)-1].name != row.Group {
			all = append(all, benchGroup{name: row.Group})
		}
		g := &all[len(all)-1]
		g.rows = append(g.rows, row)
	}
	return all
}

// first is the subject that the others are compared with; empty where there is only one.
func (g benchGroup) first() string {
	for _, row := range g.rows {
		if len(row.Subjects) > 1 {
			return row.Subjects[0].Subject
		}
	}
	return ""
}

// benchHeads are the columns of a table, of which the last three are about a ratio.
func (g benchGroup) heads() []string {
	heads := []string{"benchmark", "subject", "median", "95 % interval", "CPU", "finds"}
	if first := g.first(); first != "" {
		heads = append(heads, "x "+first, "95 % interval")
	}
	return heads
}

// benchCells is a line of a table, not yet escaped. The name of the benchmark is in its first line alone.
func (g benchGroup) cells(row digest.Row, l digest.Line, first bool) []string {
	name := ""
	if first {
		name = row.Benchmark
	}
	subject := l.Subject
	if l.Planted != 0 {
		subject += fmt.Sprintf(" (planted %s)", percent(l.Planted))
	}
	if l.Unsupported != "" {
		return []string{name, subject, "unsupported: " + strings.TrimPrefix(l.Unsupported, "not supported: ")}
	}
	cells := []string{name, subject, amount(l.Median.Point, l.Unit), spread(l.Median.Low, l.Median.High, l.Unit), "", finds(l.Finds)}
	if l.CPU > 0 {
		cells[4] = amount(l.CPU, record.Seconds)
	}
	if g.first() == "" {
		return cells
	}
	if l.Ratio == nil {
		return append(cells, "", "")
	}
	return append(cells, digits(l.Ratio.Point), digits(l.Ratio.Low)+" to "+digits(l.Ratio.High))
}

// notes are what a reader must know of the run, not yet escaped.
func (r Bench) notes() []string {
	b := r.Run.Benching
	if b == nil {
		return nil
	}
	list := []string{fmt.Sprintf("Samples are interleaved in ABBA blocks, seed %d: %s. The control makes no container. "+
		"\"finds\" is the smallest change that the run could have found.", b.Seed, b.Rule)}
	state := fmt.Sprintf("Host: load %.2f before and %.2f after", b.Before.Load[0], b.After.Load[0])
	if b.Before.Governor != "" {
		state += ", governor " + b.Before.Governor
	}
	if stolen := b.Before.Stolen(b.After); stolen > 0 {
		state += fmt.Sprintf(", %s of CPU time stolen", percent(stolen))
	}
	if throttled := b.Before.Throttled(b.After); throttled > 0 {
		state += fmt.Sprintf(", we were throttled for %.1f s", throttled)
	}
	if swapped := b.Before.Swapped(b.After); swapped > 0 {
		state += fmt.Sprintf(", %d pages swapped", swapped)
	}
	list = append(list, state+".")
	for _, rt := range r.Run.Runtimes {
		if len(rt.Lacks) > 0 {
			list = append(list, rt.Name+" runs with "+strings.Join(rt.Lacks, " and ")+".")
		}
	}
	if len(r.Run.Absent) > 0 {
		list = append(list, "Not on this host: "+strings.Join(r.Run.Absent, ", ")+".")
	}
	if noisy := r.noisy(); len(noisy) > 0 {
		list = append(list, fmt.Sprintf("Too noisy for a change of %s: %s.", percent(b.Effect), strings.Join(noisy, ", ")))
	}
	if b.Stopped != "" {
		list = append(list, "Not complete: "+b.Stopped+".")
	}
	return list
}

// noisy names the benchmarks in which the change that was asked for could not have been found.
func (r Bench) noisy() []string {
	var names []string
	for _, row := range r.Rows {
		if row.TooNoisy(r.Run.Benching.Effect) {
			names = append(names, fmt.Sprintf("%s (%s)", row.Benchmark, finds(row.Finds)))
		}
	}
	return names
}

// BenchMarkdown writes the same tables for a page or a pull request.
func BenchMarkdown(w io.Writer, r Bench) error {
	if len(r.Rows) == 0 {
		return errNoBench
	}
	var b bytes.Buffer
	b.WriteString("# Benchmarks on " + EscapeMarkdown(Report{Run: r.Run}.host()) + "\n\n")
	for _, note := range r.notes() {
		b.WriteString(EscapeMarkdown(note) + "\n\n")
	}
	for _, g := range r.groups() {
		b.WriteString("## " + EscapeMarkdown(g.name) + "\n\n")
		heads := g.heads()
		markdownRow(&b, heads...)
		b.WriteString("| --- | --- |" + strings.Repeat(" ---: |", len(heads)-2) + "\n")
		for _, row := range g.rows {
			for i, l := range row.Lines {
				cells := g.cells(row, l, i == 0)
				markdownRow(&b, append(cells, make([]string, max(len(heads)-len(cells), 0))...)...)
			}
		}
		b.WriteString("\n")
		for _, row := range g.rows {
			b.WriteString("- " + EscapeMarkdown(row.Benchmark) + ": " + EscapeMarkdown(row.Lines[0].Doc) + " (" + string(row.Better) + " is better)\n")
		}
		b.WriteString("\n")
	}
	return flush(w, &b)
}
