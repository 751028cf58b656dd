package render

import (
	"bytes"
	"io"
	"slices"
	"strings"

	"github.com/clipperhouse/displaywidth"

	"cellwall/reports/digest"
)

// CompareText writes the table of a comparison, then what was found, and last a line that sums it up.
func CompareText(w io.Writer, r Compare, t Text) error {
	if len(r.Changes) == 0 {
		return errNoChange
	}
	p := &page{Text: t}
	p.line(p.paint(bold, EscapeTerminal("comparison on "+Report{Run: r.Run}.host())))
	for _, note := range r.intro() {
		p.hang(0, "", note)
	}
	p.line("")
	widths := make([]int, len(compareHeads()))
	measure := func(cells []string) {
		for i, c := range cells {
			widths[i] = max(widths[i], min(displaywidth.String(EscapeTerminal(c)), widestID))
		}
	}
	measure(compareHeads())
	for i := range r.Changes {
		if c := &r.Changes[i]; c.None == "" {
			older, newer := r.sideLines(c)
			measure(older)
			measure(newer)
		}
	}
	last := len(compareHeads()) - 1 // words stand at the left
	p.line(p.paint(bold, lined(compareHeads()[:last], widths)+"  "+compareHeads()[last]))
	for i := range r.Changes {
		c := &r.Changes[i]
		if c.None != "" {
			p.line(p.paint(dim, lined([]string{c.Benchmark}, widths)+"  "+EscapeTerminal(string(digest.NoRatio)+strings.Replace(r.on(c), "  ", " on ", 1))))
			continue
		}
		older, newer := r.sideLines(c)
		p.line(lined(older, widths))
		p.line(p.paint(r.sgr(c), lined(newer[:last], widths)+"  "+EscapeTerminal(newer[last])))
	}
	p.line("")
	for _, f := range r.findings() {
		p.hang(0, "", f)
	}
	p.hang(0, "", r.sum())
	return flush(w, &p.Buffer)
}

// sgr is how a row is coloured.
func (r Compare) sgr(c *digest.Change) string {
	switch v := c.Says(r.Effect); {
	case v == digest.Confirmed && c.Worse():
		return lookBreached.sgr()
	case v == digest.Confirmed:
		return lookHeld.sgr()
	case v == digest.CouldBe, v == digest.TooNoisy:
		return lookInconclusive.sgr()
	}
	return ""
}

// CompareMarkdown writes the same for a page or a pull request.
func CompareMarkdown(w io.Writer, r Compare) error {
	if len(r.Changes) == 0 {
		return errNoChange
	}
	var b bytes.Buffer
	b.WriteString("# Comparison on " + EscapeMarkdown(Report{Run: r.Run}.host()) + "\n\n")
	b.WriteString(EscapeMarkdown(r.sum()) + "\n\n")
	for _, f := range r.findings() {
		b.WriteString("- " + EscapeMarkdown(f) + "\n")
	}
	if len(r.findings()) > 0 {
		b.WriteString("\n")
	}
	markdownRow(&b, "benchmark", "on", "old", "95 % interval", "new", "95 % interval", "new/old", "95 % interval", "p", "finds", "verdict")
	b.WriteString("| --- | --- |" + strings.Repeat(" ---: |", 8) + " --- |\n")
	for i := range r.Changes {
		c := &r.Changes[i]
		if c.None != "" {
			markdownRow(&b, c.Benchmark, c.Runtime+" at "+c.Rung, "", "", "", "", "", "", "", "", string(digest.NoRatio))
			continue
		}
		older, newer := r.sideLines(c)
		markdownRow(&b, slices.Concat([]string{c.Benchmark, c.Runtime + " at " + c.Rung}, older[2:], newer[2:])...)
	}
	b.WriteString("\n")
	for _, note := range r.intro() {
		b.WriteString(EscapeMarkdown(note) + "\n\n")
	}
	return flush(w, &b)
}
