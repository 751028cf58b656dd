package render

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/clipperhouse/displaywidth"

	"cellwall/reports/history"
)

// sparkColumns is how wide a series is drawn in text.
const sparkColumns = 40

// shown are the newest points of a series, as many as are drawn.
func shown(s *history.Series) []history.Point {
	return s.Points[max(len(s.Points)-history.LookBack, 0):]
}

// sparkline draws numbers in one line of text. Where there are more of them than columns, each column is the
// median of some.
func sparkline(x []float64, columns int) string {
	marks := []rune("▁▂▃▄▅▆▇█")
	n := min(len(x), columns)
	if n == 0 {
		return ""
	}
	heights := make([]float64, n)
	for i := range heights {
		part := slices.Sorted(slices.Values(x[i*len(x)/n : (i+1)*len(x)/n]))
		heights[i] = part[len(part)/2]
	}
	low, high := slices.Min(heights), slices.Max(heights)
	var b strings.Builder
	for _, h := range heights {
		at := 0
		if high > low {
			at = min(int((h-low)/(high-low)*float64(len(marks))), len(marks)-1)
		}
		b.WriteRune(marks[at])
	}
	return b.String()
}

// showHeads are the columns of the table of series.
func showHeads() []string {
	return []string{"benchmark", "on", "runs", "newest", "to control", "spread", "changes", "from oldest to newest"}
}

// showCells is a line of the table, not yet escaped.
func (h History) showCells(s *history.Series) []string {
	points := shown(s)
	logs := make([]float64, len(points))
	for i, p := range points {
		logs[i] = p.Log
	}
	last := points[len(points)-1]
	sorted := slices.Sorted(slices.Values(logs))
	const quarter = 4
	spread := math.Exp(sorted[len(sorted)-1-len(sorted)/quarter]-sorted[len(sorted)/quarter]) - 1
	changes := ""
	if n := len(h.of(s)); n > 0 {
		changes = fmt.Sprint(n)
	}
	return []string{
		s.Benchmark, s.Runtime + " at " + s.Rung + h.where(s), fmt.Sprint(len(s.Points)), amount(last.Median, s.Unit),
		digits(math.Exp(last.Log)), percent(spread), changes, sparkline(logs, sparkColumns),
	}
}

// where is the host of a series, where not all have the same.
func (h History) where(s *history.Series) string {
	if slices.ContainsFunc(h.Series, func(o *history.Series) bool { return o.Host != s.Host }) {
		return ", " + s.Host
	}
	return ""
}

// of are the changes of a series.
func (h History) of(s *history.Series) []*history.Change {
	return slices.DeleteFunc(slices.Clone(h.Changes), func(c *history.Change) bool { return c.Series != s })
}

// showNotes are what a reader must know of the table, not yet escaped.
func (h History) showNotes() []string {
	host := ""
	if h.where(h.Series[0]) == "" {
		host = " on " + h.Series[0].Host
	}
	return append([]string{fmt.Sprintf("%s: %s, %d series%s, drawn are the newest %d runs of each. \"to control\" is the newest median over that of the control in its run, where that is in the same unit: "+
		"it is what is drawn. \"spread\" is between its quartiles. Changes are those of each series alone; cellwall history check says which stand among all.", h.Dir, counted(h.Runs, "run"), len(h.Series), host, history.LookBack)}, h.Notes...)
}

// ShowText writes a line for each series, with a picture of it.
func ShowText(w io.Writer, h History, t Text) error {
	if len(h.Series) == 0 {
		return errNoSeries
	}
	p := &page{Text: t}
	widths := make([]int, len(showHeads()))
	lines := [][]string{showHeads()}
	for _, s := range h.Series {
		lines = append(lines, h.showCells(s))
	}
	for _, cells := range lines {
		for i, c := range cells {
			widest := widestID
			if i == 1 {
				widest *= 2 // it ends with the host, of which the last letters may be all that differs
			}
			widths[i] = max(widths[i], min(displaywidth.String(EscapeTerminal(c)), widest))
		}
	}
	for i, cells := range lines {
		last := len(cells) - 1 // a picture begins at the left
		sgr := map[bool]string{true: bold}[i == 0]
		p.line(p.paint(sgr, pad(lined(cells[:last], widths), sum(widths[:last])+2*(last-1))+"  "+EscapeTerminal(cells[last])))
	}
	p.line("")
	for _, note := range h.showNotes() {
		p.hang(0, "", note)
	}
	return flush(w, &p.Buffer)
}

func sum(x []int) int {
	all := 0
	for _, v := range x {
		all += v
	}
	return all
}

// ShowMarkdown writes the same for a page.
func ShowMarkdown(w io.Writer, h History) error {
	if len(h.Series) == 0 {
		return errNoSeries
	}
	var b bytes.Buffer
	b.WriteString("# History of " + EscapeMarkdown(h.Dir) + "\n\n")
	markdownRow(&b, showHeads()...)
	b.WriteString("| --- | --- |" + strings.Repeat(" ---: |", 5) + " --- |\n")
	for _, s := range h.Series {
		markdownRow(&b, h.showCells(s)...)
	}
	b.WriteString("\n")
	for _, c := range h.Changes {
		b.WriteString("- " + EscapeMarkdown(seriesWords(c.Series)) + ", " + EscapeMarkdown(strings.Join(changeWords(c)[:2], "; ")) + "\n")
	}
	if len(h.Changes) > 0 {
		b.WriteString("\n")
	}
	for _, note := range h.showNotes() {
		b.WriteString(EscapeMarkdown(note) + "\n\n")
	}
	return flush(w, &b)
}
