package render

import (
	"io"
	"strings"

	"github.com/clipperhouse/displaywidth"

	"cellwall/reports/digest"
)

// InterferenceText writes a matrix for each setting, what is known of each resource, and the cells that are
// hurt with their causes; all cells where the text is verbose.
func InterferenceText(w io.Writer, r Interference, t Text) error {
	if len(r.Cells) == 0 {
		return errNoInterference
	}
	p := &page{Text: t}
	p.line(p.paint(bold, EscapeTerminal("interference on "+r.host())))
	for _, note := range r.notes() {
		p.hang(0, "", note)
	}
	p.hang(0, "", legendOfFeelings())
	for _, m := range r.matrices() {
		p.line("")
		p.interferenceMatrix(m)
	}
	p.line("")
	for _, f := range digest.Findings(r.Cells, foundQuantiles()...) {
		p.hang(0, "", findingWords(f))
	}
	for i := range r.Cells {
		c := &r.Cells[i]
		if !t.Verbose && c.Feeling(shownQuantile) != digest.Hurt {
			continue
		}
		p.line("")
		p.interferenceCell(c)
	}
	return flush(w, &p.Buffer)
}

// interferenceMatrix writes the cells of one setting: a row for each victim, a column for each antagonist.
func (p *page) interferenceMatrix(m interferenceMatrix) {
	const mark = 2 // a blank and the mark
	first := displaywidth.String(EscapeTerminal(m.setting))
	for _, v := range m.victims {
		first = max(first, displaywidth.String(EscapeTerminal(v)))
	}
	first = min(first, widestID)
	widths := make([]int, len(m.antagonists))
	head := pad(EscapeTerminal(m.setting), first)
	for i, a := range m.antagonists {
		widths[i] = min(displaywidth.String(EscapeTerminal(a)), widestID)
		for _, v := range m.victims {
			widths[i] = max(widths[i], mark+displaywidth.String(ratioWords(m.cells[[2]string{v, a}])))
		}
		head += "  " + padLeft(strings.TrimRight(pad(EscapeTerminal(a), min(displaywidth.String(EscapeTerminal(a)), widestID)), " "), widths[i])
	}
	p.line(p.paint(bold, head))
	for _, v := range m.victims {
		line := pad(EscapeTerminal(v), first)
		for i, a := range m.antagonists {
			c := m.cells[[2]string{v, a}]
			if c == nil {
				line += strings.Repeat(" ", 2+widths[i])
				continue
			}
			text := ratioWords(c)
			sign, sgr := feelingMark(c.Feeling(shownQuantile))
			if text != "-" {
				text += " " + sign
			}
			line += strings.Repeat(" ", 2+widths[i]-displaywidth.String(text)) + p.paint(sgr, text)
		}
		p.line(strings.TrimRight(line, " "))
	}
}

// interferenceCell writes all that is known of a cell.
func (p *page) interferenceCell(c *digest.Cell) {
	mark, sgr := feelingMark(c.Feeling(shownQuantile))
	p.hang(0, sgr, mark+" "+c.Victim+" beside "+c.Antagonist+" at "+c.Setting)
	if c.Unsupported != "" {
		p.WriteString("    ")
		p.hang(4, dim, "unsupported: "+strings.TrimPrefix(c.Unsupported, "not supported: "))
		return
	}
	line := func(text string) {
		p.WriteString("    ")
		p.hang(4, "", text)
	}
	var quantiles []string
	for i := range c.Quantiles {
		quantiles = append(quantiles, quantileWords(&c.Quantiles[i]))
	}
	line(strings.Join(quantiles, ", "))
	few := ""
	for i := range c.Quantiles {
		if q := &c.Quantiles[i]; q.Few != "" && q.Few != few {
			few = q.Few
			line("no ratio of " + q.Name + ": " + few)
		}
	}
	for i, l := range []string{c.VictimLimits, c.AntagonistLimits} {
		if l != "" {
			line([...]string{"victim", "antagonist"}[i] + "'s limits: " + l)
		}
	}
	for _, cause := range causeWords(c) {
		line(cause)
	}
}
