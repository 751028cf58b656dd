package render

import (
	"fmt"
	"io"
	"strings"

	"github.com/clipperhouse/displaywidth"

	"cellwall/reports/record"
)

// LadderText writes what each rung of the ladder holds: a table of groups by rungs with
// "held/total (breached)", then what each rung adds, what it takes away, and what still gets
// through at the top. The verdicts must be of one runtime (see record.Climb).
func LadderText(w io.Writer, r Report, t Text) error {
	l, err := record.Climb(r.Verdicts)
	if err != nil {
		return err
	}
	p := &page{Text: t}
	p.hang(0, bold, ladderHeading(r, &l))
	p.line("")
	p.gridTable(&l.Grid)
	width := 0
	for _, row := range l.Rows {
		width = max(width, displaywidth.String(EscapeTerminal(row.Guarantee)))
	}
	for _, s := range sections(&l) {
		p.line("")
		p.hang(0, bold, s.title)
		for _, row := range s.rows {
			p.WriteString("  " + p.paint(s.look.sgr(), s.look.mark()) + " " + pad(EscapeTerminal(row.Guarantee), width) + "  ")
			p.hang(4+width+2, "", row.Claim)
		}
	}
	return flush(w, &p.Buffer)
}

func ladderHeading(r Report, l *record.Ladder) string {
	return fmt.Sprintf("The ladder: %s on %s", l.Runtime, r.host())
}

// section is a list of guarantees below a ladder's table.
type section struct {
	title string // not yet escaped
	look  look
	rows  []record.Row
}

// sections tells a ladder from the bottom up. A rung that adds nothing says so; what has no
// place in the story (lost, inconclusive) is told only where it occurs.
func sections(l *record.Ladder) []section {
	var all []section
	top := len(l.Columns) - 1
	for i, rung := range l.Columns {
		if i > 0 {
			rows := l.Added(i)
			all = append(all, section{title: fmt.Sprintf("%s adds %d", rung, len(rows)), look: lookHeld, rows: rows})
		}
		if rows := l.Lost(i); len(rows) > 0 {
			all = append(all, section{title: fmt.Sprintf("%s takes away %d that %s held", rung, len(rows), l.Columns[i-1]), look: lookBreached, rows: rows})
		}
		if rows := l.With(i, record.Inconclusive); len(rows) > 0 {
			all = append(all, section{title: fmt.Sprintf("%s: inconclusive for %d", rung, len(rows)), look: lookInconclusive, rows: rows})
		}
	}
	rows := l.With(top, record.Breached)
	return append(all, section{title: fmt.Sprintf("%d still get through at %s", len(rows), l.Columns[top]), look: lookBreached, rows: rows})
}

// cellWords is what a ladder's table says of a group at a rung: "12/14 (2)".
func cellWords(t record.Tally) string {
	if t.Total == 0 {
		return "-"
	}
	s := fmt.Sprintf("%d/%d", t.Held, t.Total)
	if n := t.Through(); n > 0 {
		s += fmt.Sprintf(" (%d)", n)
	}
	return s
}

// gridCells is a table of groups by columns, without its head; its last line counts all.
func gridCells(g *record.Grid) [][]string {
	var table [][]string
	line := func(name, group string) {
		cells := []string{name}
		for i := range g.Columns {
			cells = append(cells, cellWords(g.At(i, group)))
		}
		table = append(table, cells)
	}
	for _, group := range g.Groups {
		line(group, group)
	}
	line("all", "")
	return table
}

func (p *page) gridTable(g *record.Grid) {
	table := append([][]string{append([]string{""}, g.Columns...)}, gridCells(g)...)
	widths := make([]int, len(table[0]))
	for _, cells := range table {
		for i, c := range cells {
			cells[i] = EscapeTerminal(c)
			widths[i] = max(widths[i], displaywidth.String(cells[i]))
		}
	}
	for y, cells := range table {
		var b strings.Builder
		b.WriteString(pad(cells[0], widths[0]))
		for i, c := range cells[1:] {
			b.WriteString("  " + padLeft(c, widths[i+1]))
		}
		sgr := ""
		if y == 0 || y == len(table)-1 {
			sgr = bold
		}
		p.line(p.paint(sgr, b.String()))
	}
	p.line(p.paint(dim, "held/total (breached)"))
}
