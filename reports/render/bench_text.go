package render

import (
	"io"
	"strings"

	"github.com/clipperhouse/displaywidth"
)

// BenchText writes a table for each group.
func BenchText(w io.Writer, r Bench, t Text) error {
	if len(r.Rows) == 0 {
		return errNoBench
	}
	p := &page{Text: t}
	p.line(p.paint(bold, EscapeTerminal("benchmarks on "+Report{Run: r.Run}.host())))
	for _, note := range r.notes() {
		p.hang(0, "", note)
	}
	for _, g := range r.groups() {
		p.line("")
		p.benchTable(g)
	}
	return flush(w, &p.Buffer)
}

// benchTable writes the rows of a group in columns. Numbers stand at the right of theirs.
func (p *page) benchTable(g benchGroup) {
	heads := g.heads()
	widths := make([]int, len(heads))
	for i, h := range heads {
		widths[i] = displaywidth.String(EscapeTerminal(h))
	}
	for _, row := range g.rows {
		for i, l := range row.Lines {
			cells := g.cells(row, l, i == 0)
			if l.Unsupported != "" {
				cells = cells[:2]
			}
			for j, c := range cells {
				widths[j] = max(widths[j], min(displaywidth.String(EscapeTerminal(c)), widestID))
			}
		}
	}
	p.line(p.paint(bold, lined(heads, widths)))
	for _, row := range g.rows {
		for i, l := range row.Lines {
			cells := g.cells(row, l, i == 0)
			sgr := ""
			if l.Control {
				sgr = dim
			}
			if l.Unsupported != "" {
				at := lined(cells[:2], widths[:2])
				at += strings.Repeat(" ", max(widths[0]+2+widths[1]-displaywidth.String(at), 0)) + "  "
				p.WriteString(p.paint(dim, at))
				p.hang(displaywidth.String(at), dim, cells[2])
				continue
			}
			p.line(p.paint(sgr, lined(cells, widths)))
		}
	}
}

// lined lines up cells: names at the left, numbers at the right.
func lined(cells []string, widths []int) string {
	const names = 2
	var b strings.Builder
	for i, c := range cells {
		c = EscapeTerminal(c)
		if i > 0 {
			b.WriteString("  ")
		}
		if i < names {
			b.WriteString(pad(c, widths[i]))
		} else {
			b.WriteString(padLeft(c, widths[i]))
		}
	}
	return strings.TrimRight(b.String(), " ")
}
