package render

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/clipperhouse/displaywidth"

	"cellwall/reports/record"
)

// matrix is the verdicts of several runtimes side by side.
type matrix struct {
	columns []string // what to call each part, not yet escaped
	rows    []matrixRow
	same    int // rows that were tried in all columns, and say the same
	partly  int // rows that were tried in some columns only
}

// matrixRow is one guarantee. A cell is nil where the guarantee was not tried.
type matrixRow struct {
	id    string
	cells []*record.Verdict
	// differs: what was tried does, or what is bad was not tried everywhere. A runtime at a lower rung
	// is tried on fewer rows, which says nothing of the others.
	differs bool
}

// matrixOf lines up the parts of a report. Rows come in the order of the first part that has them.
func matrixOf(r Report) matrix {
	parts := r.parts()
	m := matrix{columns: names(parts)}
	if byName := record.Split(firsts(parts), func(v *record.Verdict) string { return v.Runtime }); len(byName) == len(parts) {
		for i := range byName {
			m.columns[i] = byName[i].Name // notes says what ran at which rung
		}
	}
	for _, part := range record.Split(r.Verdicts, func(v *record.Verdict) string { return v.Guarantee }) {
		row := matrixRow{id: part.Name, cells: make([]*record.Verdict, len(parts))}
		for i := range part.Verdicts {
			v := &part.Verdicts[i]
			at := slices.IndexFunc(parts, func(p record.Part) bool {
				return p.Verdicts[0].Runtime == v.Runtime && p.Verdicts[0].Rung == v.Rung
			})
			row.cells[at] = v
		}
		for i := range part.Verdicts {
			v := &part.Verdicts[i]
			row.differs = row.differs || answerOf(v) != answerOf(&part.Verdicts[0]) || len(part.Verdicts) < len(parts) && callsForALook(v)
		}
		switch {
		case len(part.Verdicts) < len(parts):
			m.partly++
		case !row.differs:
			m.same++
		}
		m.rows = append(m.rows, row)
	}
	return m
}

// callsForALook reports whether a verdict is none that one expects.
func callsForALook(v *record.Verdict) bool {
	switch lookOf(v) {
	case lookHeld, lookUnsupported, lookUnproven:
		return len(v.Leaks) > 0
	}
	return true
}

// title counts as the same only what was tried everywhere.
func (m *matrix) title() string {
	title := fmt.Sprintf("%d of %d guarantees are the same on all", m.same, len(m.rows)-m.partly)
	switch m.partly {
	case 0:
	case 1:
		title += ", 1 was tried on some only"
	default:
		title += fmt.Sprintf(", %d were tried on some only", m.partly)
	}
	return title
}

// answer is what a matrix says of a verdict.
type answer struct{ mark, word, sgr string }

func answerOf(v *record.Verdict) answer {
	if v == nil {
		return answer{mark: "_", word: "not tried", sgr: dim}
	}
	l := lookOf(v)
	c := answer{mark: l.mark(), word: l.word(), sgr: l.sgr()}
	if len(v.Leaks) > 0 {
		c.mark, c.word = c.mark+"+", c.word+", leaked"
	}
	return c
}

// layout is how the cells of a matrix are written, so that it fits.
type layout struct {
	heads  []string // escaped
	text   func(answer) string
	widths []int
	id     int
	legend []string // what marks and numbers mean; escaped
}

// widestID is as wide as a column of ids gets: a hostile one must not push the cells off the screen.
const widestID = 40

// fit returns the layout of rows that says most within a width: words below names, else marks below
// names, else marks below numbers. A width of 0 has room for all.
func (m *matrix) fit(rows []matrixRow, width int) layout {
	words := layout{text: func(c answer) string { return c.word }}
	marks := layout{text: func(c answer) string { return c.mark }}
	for _, row := range rows {
		words.id = max(words.id, min(displaywidth.String(EscapeTerminal(row.id)), widestID))
		for _, v := range row.cells {
			if c := answerOf(v); !slices.Contains(marks.legend, c.mark+" "+c.word) {
				marks.legend = append(marks.legend, c.mark+" "+c.word)
			}
		}
	}
	for _, name := range m.columns {
		words.heads = append(words.heads, EscapeTerminal(name))
	}
	marks.heads, marks.id = words.heads, words.id
	numbers := layout{text: marks.text, id: marks.id, legend: slices.Clone(marks.legend)}
	for i, name := range words.heads {
		numbers.heads = append(numbers.heads, strconv.Itoa(i+1))
		numbers.legend = append(numbers.legend, strconv.Itoa(i+1)+" "+name)
	}
	for _, l := range []layout{words, marks, numbers} {
		l.measure(rows)
		if width <= 0 || l.total() <= width {
			return l
		}
	}
	numbers.measure(rows)
	numbers.id = max(numbers.id-(numbers.total()-width), 8)
	return numbers
}

func (l *layout) measure(rows []matrixRow) {
	l.widths = make([]int, len(l.heads))
	for i, head := range l.heads {
		l.widths[i] = displaywidth.String(head)
		for _, row := range rows {
			l.widths[i] = max(l.widths[i], displaywidth.String(l.text(answerOf(row.cells[i]))))
		}
	}
}

func (l *layout) total() int {
	total := 2 + l.id
	for _, w := range l.widths {
		total += 2 + w
	}
	return total
}

// matrix writes the rows that differ.
func (p *page) matrix(m matrix) {
	p.hang(0, bold, m.title())
	rows := slices.DeleteFunc(slices.Clone(m.rows), func(r matrixRow) bool { return !r.differs })
	if len(rows) == 0 {
		p.line("")
		return
	}
	l := m.fit(rows, p.Width)
	last := len(l.heads) - 1
	head := "  " + strings.Repeat(" ", l.id)
	for i, h := range l.heads {
		head += "  " + pad(h, l.widths[i])
	}
	p.line(p.paint(bold, strings.TrimRight(head, " ")))
	for _, row := range rows {
		p.WriteString("  " + pad(EscapeTerminal(row.id), l.id))
		for i, v := range row.cells {
			c := answerOf(v)
			text := pad(l.text(c), l.widths[i])
			if i == last {
				text = strings.TrimRight(text, " ")
			}
			p.WriteString("  " + p.paint(c.sgr, text))
		}
		p.line("")
	}
	if len(l.legend) > 0 {
		p.WriteString("  ")
		p.hang(2, dim, strings.Join(l.legend, ", "))
	}
	p.line("")
}

// markdownMatrix writes all rows, the ids of those that differ in bold.
func markdownMatrix(b *bytes.Buffer, m matrix) {
	b.WriteString("## " + m.title() + "\n\n")
	markdownRow(b, append([]string{"guarantee"}, m.columns...)...)
	b.WriteString("| --- |" + strings.Repeat(" --- |", len(m.columns)) + "\n")
	for _, row := range m.rows {
		bold := ""
		if row.differs {
			bold = "**"
		}
		b.WriteString("| " + bold + EscapeMarkdown(row.id) + bold + " |")
		for _, v := range row.cells {
			b.WriteString(" " + EscapeMarkdown(answerOf(v).word) + " |")
		}
		b.WriteString("\n")
	}
	b.WriteString("\n")
}
