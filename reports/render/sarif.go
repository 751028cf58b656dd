package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	"cellwall/reports/record"
)

// Rule is what the catalogue says of a guarantee beside its claim: this package knows no catalogue.
type Rule struct {
	Barrier string // the one mechanism that carries it
	Source  string // where the behaviour is specified or the flaw described
}

// semantic is a version of Semantic Versioning 2.0, with the v that Go puts before it.
var semantic = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^v?((?:0|[1-9]\d*)(?:\.(?:0|[1-9]\d*)){2}(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?)$`)
})

// SARIF writes SARIF 2.1.0 as code scanning of GitHub reads it: a run for each runtime and rung, a rule
// for each guarantee that was tried, a result for each that is not plainly held. rules is the catalogue
// by id. The output depends on the report and the rules alone.
//
// A breach and a leak are errors, a known failure is a warning. What is inconclusive or not proven is
// of kind "open", and what does not apply or is not claimed of kinds that say so: of these the level
// must be "none" (3.27.10), so a notification at level warning names those that are open.
func SARIF(w io.Writer, r Report, rules map[string]Rule) error {
	if len(r.Verdicts) == 0 {
		return errEmpty
	}
	log := sarifLog{
		Schema:  "https://json.schemastore.org/sarif-2.1.0.json", // the address that SARIF's own tools and GitHub's documentation give
		Version: "2.1.0",
	}
	for _, part := range r.parts() {
		log.Runs = append(log.Runs, r.sarifRun(part.Verdicts, rules))
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false) // that is for whoever shows it
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(log); err != nil {
		return fmt.Errorf("encode SARIF: %w", err)
	}
	return flush(w, &b)
}

func (r Report) sarifRun(verdicts []record.Verdict, rules map[string]Rule) sarifRun {
	first := &verdicts[0]
	driver := sarifDriver{Name: "cellwall", Version: EscapeTerminal(r.Run.Version)}
	if m := semantic().FindStringSubmatch(r.Run.Version); m != nil {
		driver.SemanticVersion = m[1]
	}
	results := []sarifResult{}
	var open []string
	for i := range verdicts {
		v := &verdicts[i]
		driver.Rules = append(driver.Rules, sarifRuleOf(v, rules[v.Guarantee]))
		kind, level, why := sarifWords(v)
		if kind == "open" {
			open = append(open, v.Guarantee)
		}
		if kind != "pass" {
			results = append(results, sarifResultOf(v, i, kind, level, why))
		}
	}
	invocation := sarifInvocation{ExecutionSuccessful: len(open) == 0}
	if len(open) > 0 {
		text := fmt.Sprintf("%d guarantees are open: %s", len(open), strings.Join(open, ", "))
		invocation.ToolExecutionNotifications = []sarifNotification{{Level: "warning", Message: messageOf(text)}}
	}
	return sarifRun{
		Tool: sarifTool{driver},
		// GitHub takes what precedes the last slash for the category, and refuses two runs of one tool in
		// the same category.
		AutomationDetails: sarifAutomation{EscapeTerminal("cellwall/" + first.Runtime + "/" + first.Rung + "/")},
		Invocations:       []sarifInvocation{invocation},
		Results:           results,
		Properties:        r.sarifProperties(first),
	}
}

// sarifProperties are what a record says of the run as a whole; what it does not say is left out.
func (r Report) sarifProperties(first *record.Verdict) map[string]any {
	bag := map[string]any{}
	for name, s := range map[string]string{
		"runtime": first.Runtime, "runtimeVersion": first.RuntimeVersion, "rung": first.Rung,
		"kernel": r.Run.Kernel, "cgroupMode": r.Run.CgroupMode,
	} {
		if s != "" {
			bag[name] = EscapeTerminal(s)
		}
	}
	var lacks []string
	for _, rt := range r.Run.Runtimes {
		if rt.Name == first.Runtime {
			lacks = rt.Lacks
		}
	}
	for name, list := range map[string][]string{"lacks": lacks, "absent": r.Run.Absent, "idle": r.Run.Idle, "unasked": r.Run.Unasked} {
		if len(list) > 0 {
			bag[name] = escapeAll(list)
		}
	}
	return bag
}

// sarifWords says what a verdict is in the words of 3.27.9 and 3.27.10, and why.
func sarifWords(v *record.Verdict) (kind, level, why string) {
	l := lookOf(v)
	kind, level, why = "open", "none", or(v.Reason, "no reason given")
	switch {
	case l == lookBreached:
		kind, level, why = "fail", "error", strings.Join(slices.DeleteFunc([]string{v.Reason, v.Evidence}, func(s string) bool { return s == "" }), "; ")
	case len(v.Leaks) > 0:
		return "fail", "error", "left behind: " + strings.Join(v.Leaks, "; ")
	case l == lookHeld:
		kind = "pass"
	case l == lookKnown:
		kind, level = "fail", "warning"
	case l == lookNotProven:
		why = "its control or the barrier alone did not behave"
	case v.Exception != nil && l != lookInconclusive && l != lookUnsupported, l == lookNotClaimed:
		kind, why = "informational", "not claimed at "+v.Rung
	case l == lookUnsupported, l == lookUnproven:
		kind = "notApplicable"
	}
	if v.Exception != nil && (l == lookKnown || kind == "informational") {
		why = v.Exception.Reason + sourceWords(v.Exception)
		if v.Exception.Advice != "" {
			why += "; advice: " + v.Exception.Advice
		}
	}
	return kind, level, why
}

func sarifRuleOf(v *record.Verdict, rule Rule) sarifRule {
	help := ""
	for _, said := range [][2]string{{"Barrier: ", rule.Barrier}, {"Source: ", rule.Source}} {
		if said[1] != "" {
			help += said[0] + said[1] + ". "
		}
	}
	help += "A breach means that a witness outside the container saw an attack from inside succeed, so nobody may rely on this. " +
		"To run it again: cellwall verify --only " + v.Guarantee + " -v"
	claim := messageOf("A container " + v.Claim)
	return sarifRule{ID: EscapeTerminal(v.Guarantee), ShortDescription: claim, FullDescription: claim, Help: messageOf(help)}
}

func sarifResultOf(v *record.Verdict, index int, kind, level, why string) sarifResult {
	id := EscapeTerminal(v.Guarantee)
	text := fmt.Sprintf("%s on %s: a container %s: %s", lookOf(v).word(), v.Runtime, v.Claim, or(why, "no reason given"))
	if v.Again != "" {
		text += ". Again: " + v.Again
	}
	full := EscapeTerminal(v.Runtime + "/" + v.Rung + "/" + v.Guarantee)
	// GitHub shows nothing without a file. A guarantee has none, so it gets the name of its group, at
	// a relative path that no repository has by chance, and always the same line: alerts stay the same
	// from run to run.
	at := sarifPhysical{
		ArtifactLocation: sarifArtifact{"guarantees/" + url.PathEscape(or(v.Group, "none"))},
		Region:           sarifRegion{StartLine: 1, StartColumn: 1, EndLine: 1, EndColumn: 2},
	}
	return sarifResult{
		RuleID: id, RuleIndex: index, Kind: kind, Level: level, Message: messageOf(text),
		Locations:           []sarifLocation{{PhysicalLocation: at, LogicalLocations: []sarifLogical{{Name: id, FullyQualifiedName: full, Kind: "guarantee"}}}},
		PartialFingerprints: map[string]string{"primaryLocationLineHash": full + ":1"}, // the one that GitHub uses
	}
}

func messageOf(text string) sarifMessage { return sarifMessage{EscapeSARIF(text)} }

func escapeAll(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = EscapeTerminal(s)
	}
	return out
}
