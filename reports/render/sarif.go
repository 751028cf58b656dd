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
	log := sarifLog{Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0"}
	for _, part := range r.parts() {
		log.Runs = append(log.Runs, r.sarifRun(part.Verdicts, rules))
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	if err := enc.Encode(log); err != nil {
		return fmt.Errorf("encode SARIF: %w", err)
	}
	return flush(w, &b)
}

func (r Report) sarifRun(verdicts []record.Verdict, rules map[string]Rule) sarifRun {
	first := &verdicts[0]
	run := sarifRun{Results: []sarifResult{}}
	// GitHub takes what precedes the last slash for the category, and refuses two runs of one tool in
	// the same category.
	run.Automation.ID = EscapeTerminal("cellwall/" + first.Runtime + "/" + first.Rung + "/")
	run.Properties = sarifProperties{
		Runtime: EscapeTerminal(first.Runtime), RuntimeVersion: EscapeTerminal(first.RuntimeVersion), Rung: EscapeTerminal(first.Rung),
		Kernel: EscapeTerminal(r.Run.Kernel), CgroupMode: EscapeTerminal(r.Run.CgroupMode), Absent: escapeAll(r.Run.Absent),
		Idle: escapeAll(r.Run.Idle), Unasked: escapeAll(r.Run.Unasked),
	}
	for _, rt := range r.Run.Runtimes {
		if rt.Name == first.Runtime {
			run.Properties.Lacks = escapeAll(rt.Lacks)
		}
	}
	tool := &run.Tool.Driver
	tool.Name, tool.Version = "cellwall", EscapeTerminal(r.Run.Version)
	if m := semantic().FindStringSubmatch(r.Run.Version); m != nil {
		tool.SemanticVersion = m[1]
	}
	var open []string
	for i := range verdicts {
		v := &verdicts[i]
		tool.Rules = append(tool.Rules, sarifRuleOf(v, rules[v.Guarantee]))
		kind, level, why := sarifWords(v)
		if kind == "open" {
			open = append(open, v.Guarantee)
		}
		if kind != "pass" {
			run.Results = append(run.Results, sarifResultOf(v, i, kind, level, why))
		}
	}
	invocation := sarifInvocation{Successful: len(open) == 0}
	if len(open) > 0 {
		invocation.Notes = []sarifNote{{Level: "warning", Message: messageOf(fmt.Sprintf("%d guarantees are open: %s", len(open), strings.Join(open, ", ")))}}
	}
	run.Invocations = []sarifInvocation{invocation}
	return run
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
	claim := messageOf("A container " + v.Claim)
	help := ""
	for _, said := range [][2]string{{"Barrier: ", rule.Barrier}, {"Source: ", rule.Source}} {
		if said[1] != "" {
			help += said[0] + said[1] + ". "
		}
	}
	help += "A breach means that a witness outside the container saw an attack from inside succeed, so nobody may rely on this. " +
		"To run it again: cellwall verify --only " + v.Guarantee + " -v"
	return sarifRule{ID: EscapeTerminal(v.Guarantee), Short: claim, Full: claim, Help: messageOf(help)}
}

func sarifResultOf(v *record.Verdict, index int, kind, level, why string) sarifResult {
	id := EscapeTerminal(v.Guarantee)
	text := fmt.Sprintf("%s on %s: a container %s: %s", lookOf(v).word(), v.Runtime, v.Claim, or(why, "no reason given"))
	if v.Again != "" {
		text += ". Again: " + v.Again
	}
	var at sarifLocation
	// GitHub shows nothing without a file. A guarantee has none, so it gets the name of its group, at
	// a relative path that no repository has by chance, and always the same line: alerts stay the same
	// from run to run.
	at.Physical.Artifact.URI = "guarantees/" + url.PathEscape(or(v.Group, "none"))
	at.Physical.Region = sarifRegion{StartLine: 1, StartColumn: 1, EndLine: 1, EndColumn: 2}
	at.Logical = []sarifLogical{{Name: id, FullName: EscapeTerminal(v.Runtime + "/" + v.Rung + "/" + v.Guarantee), Kind: "guarantee"}}
	return sarifResult{
		RuleID: id, RuleIndex: index, Kind: kind, Level: level, Locations: []sarifLocation{at},
		Message:      messageOf(text),
		Fingerprints: sarifFingerprints{Line: EscapeTerminal(v.Runtime + "/" + v.Rung + "/" + v.Guarantee + ":1")},
	}
}
