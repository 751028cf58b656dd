package render

import (
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/clipperhouse/displaywidth"

	"cellwall/reports/record"
)

// VerifyText writes the verdicts as a table by group, then again all that did not hold, with
// what is known of it, and last a line for each runtime:
//
//	core on 6.18.44 (cgroup hybrid): 61 held, 61 proven, 0 breached, 3 unsupported, 0 inconclusive, 2.1 s
//
// Of several runtimes the tables are left out, and of what is unsupported all but the reason, unless
// the text is to be verbose; where they differ is a table before the last lines. It is an error to have no verdict.
func VerifyText(w io.Writer, r Report, t Text) error {
	if len(r.Verdicts) == 0 {
		return errEmpty
	}
	p := &page{Text: t}
	c := columnsOf(r.Verdicts)
	parts := r.parts()
	compare := several(parts)
	for _, part := range parts {
		p.hang(0, bold, r.heading(&part.Verdicts[0]))
		if !compare || p.Verbose {
			p.table(c, part.Verdicts)
		} else if !slices.ContainsFunc(part.Verdicts, func(v record.Verdict) bool { return !plain(&v) }) {
			p.line("  " + p.paint(lookHeld.sgr(), lookHeld.mark()+" all "+strconv.Itoa(len(part.Verdicts))+" held"))
		}
		p.line("")
		p.notHeld(c, part.Verdicts, compare && !p.Verbose)
		p.coreProven(part.Verdicts)
	}
	if compare {
		p.matrix(matrixOf(r))
	}
	for _, note := range r.notes() {
		p.hang(0, "", note)
		p.line("")
	}
	for _, line := range r.summaries() {
		p.line(EscapeTerminal(line))
	}
	return flush(w, &p.Buffer)
}

// table writes a line for each verdict, by group.
func (p *page) table(c columns, verdicts []record.Verdict) {
	for _, group := range byGroup(verdicts) {
		p.line("")
		t := record.Count(group.Verdicts)
		head := EscapeTerminal(or(group.Name, "no group"))
		p.line(p.paint(bold, head) + "  " + p.paint(dim, strconv.Itoa(t.Held)+" of "+strconv.Itoa(t.Total)+" held"))
		for i := range group.Verdicts {
			v := &group.Verdicts[i]
			p.row(c, v)
			if p.Verbose {
				p.details(v)
			}
		}
	}
}

// columns are the widths of the table's columns before the claim.
type columns struct{ id, denied int }

func columnsOf(verdicts []record.Verdict) columns {
	const widestDenied = 24 // a hostile one must not push the claims off the screen
	c := columns{denied: len(lookUnproven.word())}
	for i := range verdicts {
		v := &verdicts[i]
		c.id = max(c.id, displaywidth.String(EscapeTerminal(v.Guarantee)))
		c.denied = max(c.denied, min(displaywidth.String(EscapeTerminal(v.DeniedBy)), widestDenied))
	}
	return c
}

const (
	detailIndent = 6
	narrowest    = 24 // columns for a claim; with less it gets a line of its own
)

// row writes mark, id, what denied it (or the outcome, where nothing did), claim.
func (p *page) row(c columns, v *record.Verdict) {
	l := lookOf(v)
	second, id, claim := l.word(), "", ""
	switch l {
	case lookHeld:
		second = EscapeTerminal(v.DeniedBy)
	case lookBreached, lookKnown, lookInconclusive:
		id, claim = l.sgr(), bold
	case lookNotClaimed:
		id, claim = dim, dim
	}
	p.WriteString("  " + p.paint(l.sgr(), l.mark()) + " " + p.paint(id, pad(EscapeTerminal(v.Guarantee), c.id)) + "  ")
	at := 4 + c.id + 2 + c.denied + 2
	if p.Width > 0 && p.Width-at < narrowest {
		p.line(p.paint(l.sgr(), strings.TrimRight(pad(second, c.denied), " ")))
		p.WriteString(strings.Repeat(" ", detailIndent))
		at = detailIndent
	} else {
		p.WriteString(p.paint(l.sgr(), pad(second, c.denied)) + "  ")
	}
	p.hang(at, claim, v.Claim)
}

func (p *page) details(v *record.Verdict) {
	for _, d := range details(v, p.Verbose) {
		p.WriteString(strings.Repeat(" ", detailIndent))
		if d.copy {
			p.line(d.label + ": " + p.paint(bold, EscapeTerminal(d.text)))
			continue
		}
		p.hang(detailIndent+2, "", d.String())
	}
}

// plain reports whether a verdict is held and proven, and left nothing behind.
func plain(v *record.Verdict) bool { return lookOf(v) == lookHeld && len(v.Leaks) == 0 }

// eachNotHeld calls f with every verdict that is not plainly held, the worst first. What the rung
// does not claim is left to notClaimed.
func eachNotHeld(verdicts []record.Verdict, f func(*record.Verdict)) {
	for _, l := range []look{lookBreached, lookKnown, lookInconclusive, lookNotProven, lookHeld, lookNotClaimed, lookUnproven, lookUnsupported} {
		for i := range verdicts {
			v := &verdicts[i]
			switch {
			case lookOf(v) != l, plain(v), l == lookNotClaimed && v.Exception == nil:
			default:
				f(v)
			}
		}
	}
}

// notClaimed names what was breached and is not claimed by the rung: on a low one most of the catalogue.
func notClaimed(verdicts []record.Verdict) []string {
	var open []string
	for i := range verdicts {
		if lookOf(&verdicts[i]) == lookNotClaimed && verdicts[i].Exception == nil {
			open = append(open, verdicts[i].Guarantee)
		}
	}
	return open
}

// notHeld repeats every verdict that is not plainly held. Briefly, what this host cannot tell is told
// with its reason alone.
func (p *page) notHeld(c columns, verdicts []record.Verdict, brief bool) {
	rows := &page{Text: p.Text}
	eachNotHeld(verdicts, func(v *record.Verdict) {
		rows.row(c, v)
		if l := lookOf(v); brief && (l == lookUnsupported || l == lookUnproven) && len(v.Leaks) == 0 {
			v = &record.Verdict{Outcome: v.Outcome, Reason: v.Reason, Exception: v.Exception}
		}
		rows.details(v)
	})
	if rows.Len() > 0 {
		p.line(p.paint(bold, "Not held, or not plainly"))
		p.Write(rows.Bytes())
		p.line("")
	}
	if open := notClaimed(verdicts); len(open) > 0 {
		p.line(p.paint(bold, "Breached, and not claimed at "+EscapeTerminal(verdicts[0].Rung)))
		p.WriteString("  ")
		p.hang(2, dim, strings.Join(open, ", "))
		p.line("")
	}
}

// coreProven names what is held, but with a control that was not run on the runtime itself.
func (p *page) coreProven(verdicts []record.Verdict) {
	var apart []record.Verdict
	for i := range verdicts {
		if v := &verdicts[i]; lookOf(v) == lookHeld && v.KeptBy == "" && v.ControlElsewhere() {
			apart = append(apart, *v)
		}
	}
	for _, part := range record.Split(apart, proofOf) {
		p.hang(0, bold, "Held, and "+part.Name)
		var list []string
		for i := range part.Verdicts {
			list = append(list, part.Verdicts[i].Guarantee)
		}
		p.WriteString("  ")
		p.hang(2, dim, strings.Join(list, ", "))
		p.line("")
	}
}
