package render

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"cellwall/reports/record"
)

// VerifyMarkdown writes a verify run for a pull request or an issue: the summary first, then
// what did not hold with all that is known, then the table of every group. Several runtimes are
// compared before that, guarantee by guarantee.
func VerifyMarkdown(w io.Writer, r Report) error {
	if len(r.Verdicts) == 0 {
		return errEmpty
	}
	var b bytes.Buffer
	b.WriteString("# Isolation report\n\n")
	for _, line := range r.summaries() {
		b.WriteString("**" + EscapeMarkdown(line) + "**\n\n")
	}
	for _, note := range r.notes() {
		b.WriteString(EscapeMarkdown(note) + "\n\n")
	}
	parts := r.parts()
	if several(parts) {
		markdownMatrix(&b, matrixOf(r))
	}
	for _, part := range parts {
		b.WriteString("## " + EscapeMarkdown(r.heading(&part.Verdicts[0])) + "\n\n")
		markdownNotHeld(&b, part.Verdicts)
		for _, group := range byGroup(part.Verdicts) {
			t := record.Count(group.Verdicts)
			fmt.Fprintf(&b, "### %s: %d of %d held\n\n", EscapeMarkdown(or(group.Name, "no group")), t.Held, t.Total)
			b.WriteString("| guarantee | outcome | denied by | a container ... |\n| --- | --- | --- | --- |\n")
			for i := range group.Verdicts {
				v := &group.Verdicts[i]
				markdownRow(&b, v.Guarantee, markdownOutcome(v), denied(v.DeniedBy, v.Errno), v.Claim)
			}
			b.WriteString("\n")
		}
	}
	return flush(w, &b)
}

// LadderMarkdown writes a ladder: the table of groups by rungs, then what each rung adds. The
// verdicts must be of one runtime (see record.Climb).
func LadderMarkdown(w io.Writer, r Report) error {
	l, err := record.Climb(r.Verdicts)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	b.WriteString("# " + EscapeMarkdown(ladderHeading(r, &l)) + "\n\n")
	b.WriteString("Held/total (breached), by group and rung.\n\n")
	markdownGrid(&b, &l.Grid)
	for _, s := range sections(&l) {
		b.WriteString("\n## " + EscapeMarkdown(s.title) + "\n\n")
		for _, row := range s.rows {
			b.WriteString("- " + EscapeMarkdown(row.Guarantee) + ": " + EscapeMarkdown(row.Claim) + "\n")
		}
	}
	return flush(w, &b)
}

func markdownGrid(b *bytes.Buffer, g *record.Grid) {
	markdownRow(b, append([]string{"group"}, g.Columns...)...)
	b.WriteString("| --- |" + strings.Repeat(" ---: |", len(g.Columns)) + "\n")
	for _, cells := range gridCells(g) {
		markdownRow(b, cells...)
	}
}

func markdownRow(b *bytes.Buffer, cells ...string) {
	b.WriteString("|")
	for _, c := range cells {
		b.WriteString(" " + EscapeMarkdown(c) + " |")
	}
	b.WriteString("\n")
}

// markdownOutcome says what a verdict is and where that was shown, not yet escaped.
func markdownOutcome(v *record.Verdict) string {
	s := lookOf(v).word()
	switch lookOf(v) {
	case lookHeld:
		s = "held, " + proofOf(v)
	case lookNotProven:
		s = "held, not proven"
	}
	if v.KeptBy != "" {
		s += ", kept by the " + v.KeptBy
	}
	if len(v.Leaks) > 0 {
		s += ", leaked"
	}
	return s
}

func markdownNotHeld(b *bytes.Buffer, verdicts []record.Verdict) {
	first := true
	eachNotHeld(verdicts, func(v *record.Verdict) {
		if first {
			b.WriteString("### Not held, or not plainly\n\n")
			first = false
		}
		fmt.Fprintf(b, "- %s: **%s**. A container %s.\n\n", EscapeMarkdown(v.Guarantee), EscapeMarkdown(markdownOutcome(v)), EscapeMarkdown(v.Claim))
		var lines []string
		for _, d := range details(v, false) {
			lines = append(lines, EscapeTerminal(d.String()))
		}
		if len(lines) > 0 {
			markdownCode(b, "  ", lines)
		}
	})
	if open := notClaimed(verdicts); len(open) > 0 {
		b.WriteString("Breached, and not claimed at " + EscapeMarkdown(verdicts[0].Rung) + ": " + EscapeMarkdown(strings.Join(open, ", ")) + "\n\n")
	}
}

// markdownCode writes escaped lines as a block of code, with a fence longer than any run of
// backticks in them: nothing in it is markup, a link or a mention.
func markdownCode(b *bytes.Buffer, indent string, lines []string) {
	fence := "```"
	for strings.Contains(strings.Join(lines, "\n"), fence) {
		fence += "`"
	}
	b.WriteString(indent + fence + "text\n")
	for _, l := range lines {
		b.WriteString(indent + l + "\n")
	}
	b.WriteString(indent + fence + "\n\n")
}
