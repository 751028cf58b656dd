package render

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"cellwall/reports/record"
)

// counted is "1 run" or "3 runs".
func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// look is how a class of verdicts is shown: by a mark and a word, so that colour only helps.
type look int

const (
	lookHeld look = iota
	lookNotProven
	lookBreached
	lookKnown
	lookNotClaimed
	lookUnsupported
	lookInconclusive
	lookUnproven
)

func (l look) mark() string { return [...]string{"✓", "○", "✗", "×", "·", "-", "!", "?"}[l] }

func (l look) word() string {
	return [...]string{"held", "not proven", "BREACHED", "known failure", "not claimed", "unsupported", "inconclusive", "unproven here"}[l]
}

// Parameters of the terminal's "select graphic rendition".
const (
	bold = "1"
	dim  = "2"
)

func (l look) sgr() string { return [...]string{"32", "33", "1;31", "31", dim, "36", "1;33", "36"}[l] }

func lookOf(v *record.Verdict) look {
	switch v.Outcome {
	case record.Held:
		if !v.Proven() {
			return lookNotProven
		}
		return lookHeld
	case record.Breached:
		switch {
		case v.Known():
			return lookKnown
		case !v.Claimed:
			return lookNotClaimed
		}
		return lookBreached
	case record.Unsupported:
		return lookUnsupported
	case record.Unproven:
		return lookUnproven
	default:
		return lookInconclusive
	}
}

// proofOf says where the proof of a held verdict was run, not yet escaped.
func proofOf(v *record.Verdict) string {
	here := func(t record.Trial) bool { return t.On == v.Runtime }
	switch {
	case !v.ControlElsewhere():
		return "proven"
	case v.Alone == nil && !slices.ContainsFunc(v.Controls, here):
		return "proven on the core only: nothing but the attack on the whole container ran on " + v.Runtime
	}
	return "proven by a control on the core"
}

func or(s, instead string) string {
	if s == "" {
		return instead
	}
	return s
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

// summaries returns a line for each runtime and rung, not yet escaped. The rung is named only
// where not all have the same.
func (r Report) summaries() []string {
	var lines []string
	parts := r.parts()
	for i, name := range names(parts) {
		part := &parts[i]
		line := fmt.Sprintf("%s on %s (cgroup %s): %s", name, or(r.Run.Kernel, "an unknown kernel"),
			or(r.Run.CgroupMode, "unknown"), tallyWords(record.Count(part.Verdicts)))
		if len(parts) == 1 && r.Elapsed > 0 {
			line += ", " + seconds(r.Elapsed)
		}
		lines = append(lines, line)
	}
	return lines
}

func tallyWords(t record.Tally) string {
	s := fmt.Sprintf("%d held, %d proven", t.Held-t.Apart, t.Proven)
	if t.CoreProven > 0 {
		s += fmt.Sprintf(", %d proven by a control on the core", t.CoreProven)
	}
	s += fmt.Sprintf(", %d breached, %d unsupported, %d inconclusive", t.Breached, t.Unsupported, t.Inconclusive)
	if t.Apart > 0 {
		s += fmt.Sprintf(", %d held by the kernel or the harness", t.Apart)
	}
	if t.Unproven > 0 {
		s += fmt.Sprintf(", %d unproven here", t.Unproven)
	}
	switch {
	case t.Known == 1:
		s += ", 1 known failure"
	case t.Known > 1:
		s += fmt.Sprintf(", %d known failures", t.Known)
	}
	if t.NotClaimed > 0 {
		s += fmt.Sprintf(", %d not claimed", t.NotClaimed)
	}
	return s
}

// heading says what a part of a report is on, not yet escaped.
func (r Report) heading(v *record.Verdict) string {
	return fmt.Sprintf("%s at %s on %s", strings.TrimSpace(v.Runtime+" "+v.RuntimeVersion), v.Rung, r.host())
}

func (r Report) host() string {
	return fmt.Sprintf("%s %s, %d CPUs, cgroup %s", or(r.Run.Kernel, "an unknown kernel"), r.Run.Machine, r.Run.CPUs, or(r.Run.CgroupMode, "unknown"))
}

// detail is one labelled fact of a verdict, not yet escaped.
type detail struct {
	label string
	text  string
	copy  bool // a command: must stay on one line
}

func (d detail) String() string { return d.label + ": " + d.text }

// details returns what is known of a verdict beside its row; with tries, also what the attacker
// and the run with the barrier alone say.
func details(v *record.Verdict, tries bool) []detail {
	var ds []detail
	add := func(label, text string) {
		if text != "" {
			ds = append(ds, detail{label: label, text: text})
		}
	}
	add("evidence", v.Evidence)
	add("reason", v.Reason)
	add("tried again, first inconclusive", v.Retried)
	if e := v.Exception; e != nil {
		add(map[bool]string{true: "known", false: "not claimed"}[e.Known], e.Reason+sourceWords(e))
		add("advice", e.Advice)
	}
	add("denied by", denied(v.DeniedBy, v.Errno))
	controls := v.Controls
	if len(controls) == 0 && v.Control != nil {
		controls = []record.Trial{*v.Control}
	}
	for i := range controls {
		add("control", trialWords(&controls[i], or(controls[i].Edit, "no edit named")))
	}
	if v.Outcome == record.Held && len(controls) == 0 {
		add("control", "none was run")
	} else if v.Outcome == record.Held && v.Alone == nil {
		add("alone", "the barrier alone was not run")
	}
	if v.Alone != nil && (tries || v.Alone.Outcome != record.Held) {
		add("alone", trialWords(v.Alone, "the barrier alone"))
	}
	if tries {
		for _, t := range v.Tries {
			add("try", t.Call+" -> "+or(t.Errno, "ok"))
		}
		if v.Dropped > 0 {
			add("try", fmt.Sprintf("%d more were not recorded", v.Dropped))
		}
	}
	for _, l := range v.Leaks {
		add("leak", l)
	}
	if asked := v.Outcome != record.Unsupported && v.Outcome != record.Unproven; v.Again != "" && (tries || asked) {
		ds = append(ds, detail{label: "again", text: v.Again, copy: true})
	}
	return ds
}

// sourceWords names the source of an exception, after its reason.
func sourceWords(e *record.Exception) string {
	if e.Source == "" {
		return ""
	}
	return " (" + e.Source + ")"
}

func denied(by, errno string) string {
	if by == "" || errno == "" {
		return by + errno
	}
	return by + " (" + errno + ")"
}

// trialWords says "the host's pid namespace on core: breached", and why where it did not.
func trialWords(t *record.Trial, what string) string {
	s := fmt.Sprintf("%s on %s: %s", what, t.On, t.Outcome)
	if d := denied(t.DeniedBy, t.Errno); d != "" {
		s += ", denied by " + d
	}
	if t.Reason != "" {
		s += ", " + t.Reason
	}
	return s
}
