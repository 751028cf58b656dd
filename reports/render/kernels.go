package render

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"cellwall/reports/record"
)

// MatrixText writes the kernel matrix: for every runtime and cgroup mode a table of groups by kernels
// with "held/total (breached)", and each guarantee that differs between them with its reason; then the
// cells that have no or not all verdicts.
func MatrixText(w io.Writer, m record.Matrix, t Text) error {
	p := &page{Text: t}
	p.hang(0, bold, matrixHeading(&m))
	for i := range m.Tables {
		table := &m.Tables[i]
		p.line("")
		p.hang(0, bold, tableHeading(table))
		p.gridTable(&table.Grid)
		for k := range table.Cells {
			p.at(2, dim, kernelWords(&table.Cells[k]))
		}
		p.line("")
		list, same := differences(table)
		p.hang(0, bold, differenceHeading(list, same))
		for _, d := range list {
			p.at(2, bold, d.row.Guarantee+": "+d.kind())
			for _, a := range d.answers {
				p.WriteString("    " + p.paint(a.sgr, a.mark) + " ")
				p.hang(6, "", a.words())
			}
		}
	}
	for _, c := range notBooted(&m) {
		p.line("")
		p.hang(0, bold, c.String()+": "+string(c.Outcome))
		if c.Reason != "" {
			p.at(2, "", c.Reason)
		}
		for _, line := range c.Tail {
			p.at(4, dim, line)
		}
	}
	return flush(w, &p.Buffer)
}

// MatrixMarkdown writes what MatrixText writes.
func MatrixMarkdown(w io.Writer, m record.Matrix) error {
	var b bytes.Buffer
	b.WriteString("# " + EscapeMarkdown(matrixHeading(&m)) + "\n\nHeld/total (breached), by group and kernel.\n")
	for i := range m.Tables {
		table := &m.Tables[i]
		b.WriteString("\n## " + EscapeMarkdown(tableHeading(table)) + "\n\n")
		markdownGrid(&b, &table.Grid)
		b.WriteString("\n")
		for k := range table.Cells {
			b.WriteString("- " + EscapeMarkdown(kernelWords(&table.Cells[k])) + "\n")
		}
		list, same := differences(table)
		b.WriteString("\n### " + EscapeMarkdown(differenceHeading(list, same)) + "\n\n")
		for _, d := range list {
			b.WriteString("- **" + EscapeMarkdown(d.row.Guarantee) + "**: " + d.kind() + ". A container " + EscapeMarkdown(d.row.Claim) + ".\n")
			for _, a := range d.answers {
				b.WriteString("  - " + EscapeMarkdown(a.words()) + "\n")
			}
		}
	}
	for _, c := range notBooted(&m) {
		b.WriteString("\n## " + EscapeMarkdown(c.String()+": "+string(c.Outcome)) + "\n\n")
		if c.Reason != "" {
			b.WriteString(EscapeMarkdown(c.Reason) + "\n\n")
		}
		var lines []string
		for _, line := range c.Tail {
			lines = append(lines, EscapeTerminal(line))
		}
		if len(lines) > 0 {
			markdownCode(&b, "", lines)
		}
	}
	return flush(w, &b)
}

// at writes text on lines of its own, from a column on.
func (p *page) at(column int, sgr, text string) {
	p.WriteString(strings.Repeat(" ", column))
	p.hang(column, sgr, text)
}

func matrixHeading(m *record.Matrix) string {
	booted := len(m.Cells) - len(notBooted(m))
	s := fmt.Sprintf("The kernel matrix: %d of %d cells", booted, m.Of)
	if missing := m.Of - len(m.Cells); missing > 0 {
		s += fmt.Sprintf(", and %d are of shards that are not here", missing)
	}
	return s
}

func tableHeading(t *record.Table) string { return t.Runtime + " with cgroup " + t.Cgroup }

// kernelWords describes a column: "debian-12 is 6.1.0-40-cloud-amd64 on tcg".
func kernelWords(c *record.Cell) string {
	s := c.Kernel + " is " + or(c.Release, "of an unknown release")
	if c.Accel != "" {
		s += " on " + c.Accel
	}
	switch {
	case c.Outcome != record.CellBooted:
		s += ": " + string(c.Outcome)
	case c.Reason != "":
		s += ", without: " + c.Reason
	}
	return s
}

func notBooted(m *record.Matrix) []*record.Cell {
	var list []*record.Cell
	for i := range m.Cells {
		if m.Cells[i].Outcome != record.CellBooted {
			list = append(list, &m.Cells[i])
		}
	}
	return list
}

// difference is a guarantee of which not all kernels say the same.
type difference struct {
	row     record.Row
	answers []kernelAnswer
}

// kernelAnswer is what some kernels say of a guarantee.
type kernelAnswer struct {
	answer
	reason  string
	kernels []string
}

func (a *kernelAnswer) words() string {
	s := strings.Join(a.kernels, ", ") + ": " + a.word
	if a.reason != "" {
		s += ": " + a.reason
	}
	return s
}

// kind says what kind of a difference it is: a kernel that lacks something says nothing of one that
// has it, while two that have it and do not agree have changed.
func (d *difference) kind() string {
	for _, a := range d.answers {
		if a.word == lookUnsupported.word() {
			return "feature absent"
		}
	}
	return "behaviour changed"
}

func differenceHeading(list []difference, same int) string {
	return fmt.Sprintf("%d of %d guarantees differ between kernels", len(list), len(list)+same)
}

// differences compares the columns of a table that have all their verdicts, row by row.
func differences(t *record.Table) (list []difference, same int) {
	for _, row := range t.Rows {
		d, differs := difference{row: row}, false
		for i, c := range t.Cells {
			if c.Outcome != record.CellBooted {
				continue
			}
			a := kernelAnswer{answer: answerOf(row.Verdicts[i]), kernels: []string{c.Kernel}}
			if v := row.Verdicts[i]; v != nil && a.word != lookHeld.word() {
				a.reason = or(v.Reason, v.Evidence)
			}
			differs = differs || len(d.answers) > 0 && d.answers[0].answer != a.answer
			d.add(a)
		}
		if differs {
			list = append(list, d)
		} else {
			same++
		}
	}
	return list, same
}

func (d *difference) add(a kernelAnswer) {
	for i := range d.answers {
		if old := &d.answers[i]; old.answer == a.answer && old.reason == a.reason {
			old.kernels = append(old.kernels, a.kernels...)
			return
		}
	}
	d.answers = append(d.answers, a)
}
