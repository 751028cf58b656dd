package render

import (
	"io"
	"strconv"
	"strings"

	"github.com/clipperhouse/displaywidth"

	"cellwall/reports/record"
)

// pictureMark is a verdict's symbol where only held or breached matters: on a ladder nothing is
// claimed at most places, and a held one is no less held for it.
func pictureMark(v *record.Verdict) (mark, sgr string) {
	switch {
	case v == nil:
		return " ", ""
	case v.Outcome == record.Held:
		return "█", "34"
	case v.Outcome == record.Breached:
		return "×", "33"
	}
	l := lookOf(v)
	return l.mark(), l.sgr()
}

// LadderPicture draws a ladder in text: a row for each guarantee, a column for each rung. Where
// the width does not fit the rungs' names, the columns are numbered.
func LadderPicture(w io.Writer, r Report, t Text) error {
	l, err := record.Climb(r.Verdicts)
	if err != nil {
		return err
	}
	p := &page{Text: t}
	p.hang(0, bold, ladderHeading(r, &l))
	p.line("█ held   × breached   - unsupported   ! inconclusive   ? unproven here")
	p.line("")
	first := 0
	for _, row := range l.Rows {
		first = max(first, 2+displaywidth.String(EscapeTerminal(row.Guarantee)))
	}
	names, numbers := make([]string, len(l.Columns)), make([]string, len(l.Columns))
	total := first
	for i, rung := range l.Columns {
		names[i], numbers[i] = EscapeTerminal(rung), strconv.Itoa(i+1)
		total += 2 + displaywidth.String(names[i])
	}
	if t.Width > 0 && total > t.Width {
		for i := range names {
			p.line("  " + numbers[i] + " " + names[i])
		}
		names = numbers
	}
	p.line(p.paint(bold, strings.Repeat(" ", first)+"  "+strings.Join(names, "  ")))
	group := ""
	for i, row := range l.Rows {
		if i == 0 || row.Group != group {
			group = row.Group
			p.line(p.paint(bold, EscapeTerminal(group)))
		}
		p.WriteString(pad("  "+EscapeTerminal(row.Guarantee), first))
		for i, v := range row.Verdicts {
			mark, sgr := pictureMark(v)
			width := displaywidth.String(names[i])
			left := (width - 1) / 2
			p.WriteString("  " + strings.Repeat(" ", left) + p.paint(sgr, mark))
			if i < len(row.Verdicts)-1 {
				p.WriteString(strings.Repeat(" ", width-1-left))
			}
		}
		p.line("")
	}
	return flush(w, &p.Buffer)
}
