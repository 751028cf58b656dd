package render

import (
	"strings"

	"cellwall/reports/record"
)

// place is the section of a page that speaks of a verdict.
type place int

const (
	placeHeld  place = iota
	placeApart       // held, and not by the runtime
	placeBreached
	placeUnclear
	placeKnown
	placeNotClaimed // as the runtime's claims say
	placeBelow      // as the rung says: on a low one most of the catalogue
	placeUnsupported
	placeUnproven
)

func placeOf(v *record.Verdict) place {
	l := lookOf(v)
	switch {
	case l == lookBreached:
		return placeBreached
	case l == lookInconclusive, l == lookNotProven, len(v.Leaks) > 0:
		return placeUnclear
	case l == lookHeld && v.KeptBy != "":
		return placeApart
	case l == lookHeld:
		return placeHeld
	case l == lookKnown:
		return placeKnown
	case l == lookUnsupported:
		return placeUnsupported
	case v.Exception != nil:
		return placeNotClaimed
	case l == lookNotClaimed:
		return placeBelow
	default:
		return placeUnproven
	}
}

// at returns the verdicts of a place.
func (p *runtimePage) at(where place) []record.Verdict {
	var list []record.Verdict
	for i := range p.verdicts {
		if placeOf(&p.verdicts[i]) == where {
			list = append(list, p.verdicts[i])
		}
	}
	return list
}

// doesNot lists what is not plainly held, the worst first. What every run says anew, such as evidence,
// is left to the records.
func (p *runtimePage) doesNot() {
	p.para("## What it does not hold")
	if len(p.at(placeHeld))+len(p.at(placeApart)) == len(p.verdicts) {
		p.para("Nothing: all of it was held.")
	}
	p.each("Breached", p.at(placeBreached))
	p.each("Not clear", p.at(placeUnclear))
	p.each("Known failures", p.at(placeKnown))
	p.each("Not claimed", p.at(placeNotClaimed))
	if below := p.at(placeBelow); len(below) > 0 {
		p.para("### Breached, and not claimed at " + EscapeMarkdown(below[0].Rung))
		p.para(ids(below))
	}
	p.reasons("Unsupported here", p.at(placeUnsupported))
	p.reasons("Unproven here", p.at(placeUnproven))
}

func ids(verdicts []record.Verdict) string {
	var list []string
	for i := range verdicts {
		list = append(list, EscapeMarkdown(verdicts[i].Guarantee))
	}
	return strings.Join(list, ", ")
}

// each says of every verdict what and why.
func (p *runtimePage) each(title string, verdicts []record.Verdict) {
	if len(verdicts) == 0 {
		return
	}
	p.para("### " + title)
	for i := range verdicts {
		v := &verdicts[i]
		p.WriteString(p.claim(v))
		why := []detail{{label: "outcome", text: markdownOutcome(v)}, {label: "reason", text: v.Reason}}
		if e := v.Exception; e != nil {
			why = append(why[1:], detail{label: "why", text: e.Reason}, detail{label: "source", text: e.Source}, detail{label: "advice", text: e.Advice})
		}
		for _, d := range why {
			if d.text != "" {
				p.WriteString("  - " + p.text(d.String()) + "\n")
			}
		}
	}
	p.WriteString("\n")
}

// reasons names verdicts with the same reason together.
func (p *runtimePage) reasons(title string, verdicts []record.Verdict) {
	if len(verdicts) == 0 {
		return
	}
	p.para("### " + title)
	for _, part := range record.Split(verdicts, func(v *record.Verdict) string { return p.text(or(v.Reason, "no reason given")) }) {
		p.WriteString("- " + ids(part.Verdicts) + ": " + part.Name + "\n")
	}
	p.WriteString("\n")
}
