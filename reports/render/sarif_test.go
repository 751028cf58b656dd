package render_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"cellwall/reports/record"
	"cellwall/reports/render"
)

// rules is a catalogue that does not know every guarantee, and whose words are as they come.
func rules() map[string]render.Rule {
	return map[string]render.Rule{
		"fs.dotdot":      {Barrier: "pivot_root(2)", Source: "chroot(2), path_resolution(7)"},
		"fs.mask-source": {Barrier: "masked paths", Source: "CVE-2025-31133 {0} [x](y)"},
	}
}

func sarif(t *testing.T, r render.Report) []byte {
	t.Helper()
	return bytesOf(t, func(b *bytes.Buffer) error { return render.SARIF(b, r, rules()) })
}

func TestSARIFMatchesGolden(t *testing.T) {
	golden(t, "report.sarif", sarif(t, compared()))
	golden(t, "verified.sarif", sarif(t, verified()))
}

// text is a message as a reader of the format sees it.
type text struct {
	Text string `json:"text"`
}

// readLog is the format as a reader sees it, parsed apart from the writer's types.
type readLog struct {
	Schema  string `json:"$schema"`
	Version string `json:"version"`
	Runs    []struct {
		Tool struct {
			Driver struct {
				Name, Version, SemanticVersion, InformationURI string
				Rules                                          []struct {
					ID                                      string
					ShortDescription, FullDescription, Help text
				}
			}
		}
		AutomationDetails struct{ ID string }
		Invocations       []struct {
			ExecutionSuccessful        bool
			ToolExecutionNotifications []struct {
				Level   string
				Message text
			}
		}
		Results []struct {
			RuleID, Kind, Level string
			RuleIndex           *int
			Message             text
			Locations           []struct {
				PhysicalLocation struct {
					ArtifactLocation struct{ URI string }
					Region           struct{ StartLine, StartColumn, EndLine, EndColumn int }
				}
				LogicalLocations []struct{ Name, FullyQualifiedName, Kind string }
			}
			PartialFingerprints map[string]string
		}
		Properties struct{ Lacks, Absent, Idle, Unasked []string }
	}
}

func readSARIF(t *testing.T, raw []byte) readLog {
	t.Helper()
	var log readLog
	if err := json.Unmarshal(raw, &log); err != nil {
		t.Fatal(err)
	}
	return log
}

// sarifSchema is docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json.
func sarifSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	const file = "testdata/sarif-schema-2.1.0.json.gz"
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // read-only
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var raw bytes.Buffer
	if _, err := raw.ReadFrom(unzipped); err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource(file, parsed(t, raw.Bytes())); err != nil {
		t.Fatal(err)
	}
	return c.MustCompile(file)
}

// parsed is JSON as the schemas' package takes it.
func parsed(t *testing.T, raw []byte) any {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	return document
}

// TestSARIFIsSound looks for what the standard and GitHub ask of a log.
func TestSARIFIsSound(t *testing.T) {
	standard := sarifSchema(t)
	for _, bad := range []string{`{"version":"2.1.0"}`, `{"version":"2.1.0","runs":[],"colour":"red"}`, `{"version":"2.1.0","runs":[{"tool":{"driver":{}}}]}`} {
		if standard.Validate(parsed(t, []byte(bad))) == nil {
			t.Errorf("the schema takes %s", bad)
		}
	}
	for _, r := range []render.Report{verified(), compared(), climbed()} {
		raw := sarif(t, r)
		if err := standard.Validate(parsed(t, raw)); err != nil {
			t.Errorf("against the standard's JSON schema: %v", err)
		}
		log := readSARIF(t, raw)
		if log.Version != "2.1.0" || !strings.HasSuffix(log.Schema, "sarif-2.1.0.json") || len(log.Runs) == 0 {
			t.Fatalf("version %q, schema %q, %d runs", log.Version, log.Schema, len(log.Runs))
		}
		categories, fingerprints := map[string]bool{}, map[string]bool{}
		for _, run := range log.Runs {
			tool := run.Tool.Driver
			if tool.Name != "cellwall" || tool.SemanticVersion != "0.1.0" || tool.InformationURI != "" {
				t.Errorf("tool %+v", tool)
			}
			if id := run.AutomationDetails.ID; categories[id] || !strings.HasSuffix(id, "/") {
				t.Errorf("category %q is there twice, or none", id)
			}
			categories[run.AutomationDetails.ID] = true
			ids := map[string]bool{}
			for _, rule := range tool.Rules {
				if ids[rule.ID] || rule.ID == "" {
					t.Errorf("rule %q is there twice, or has no name", rule.ID)
				}
				ids[rule.ID] = true
				for _, m := range []text{rule.ShortDescription, rule.FullDescription, rule.Help} {
					checkMessage(t, m.Text)
				}
			}
			for _, result := range run.Results {
				if result.RuleIndex == nil || *result.RuleIndex < 0 || *result.RuleIndex >= len(tool.Rules) {
					t.Fatalf("%s has no rule", result.RuleID)
				}
				if rule := tool.Rules[*result.RuleIndex]; rule.ID != result.RuleID {
					t.Errorf("%s has the rule %s", result.RuleID, rule.ID)
				}
				checkMessage(t, result.Message.Text)
				if !slices.Contains([]string{"fail", "open", "informational", "notApplicable"}, result.Kind) {
					t.Errorf("%s: kind %q", result.RuleID, result.Kind)
				}
				levels := []string{"none"} // all that is legal for another kind than fail
				if result.Kind == "fail" {
					levels = []string{"error", "warning"}
				}
				if !slices.Contains(levels, result.Level) {
					t.Errorf("%s: level %q of kind %q", result.RuleID, result.Level, result.Kind)
				}
				if len(result.Locations) != 1 || len(result.Locations[0].LogicalLocations) != 1 {
					t.Fatalf("%s has %d locations", result.RuleID, len(result.Locations))
				}
				at := result.Locations[0]
				group, _, _ := strings.Cut(result.RuleID, ".")
				uri, err := url.Parse(at.PhysicalLocation.ArtifactLocation.URI)
				if err != nil || uri.IsAbs() || uri.String() != "guarantees/"+group {
					t.Errorf("%s is at %v, %v", result.RuleID, uri, err)
				}
				if g := at.PhysicalLocation.Region; g.StartLine < 1 || g.StartColumn < 1 || g.EndLine < 1 || g.EndColumn < 2 {
					t.Errorf("region %+v", g)
				}
				if at.LogicalLocations[0].Name != result.RuleID {
					t.Errorf("%s is at %+v", result.RuleID, at.LogicalLocations)
				}
				fingerprint := result.PartialFingerprints["primaryLocationLineHash"]
				if fingerprint == "" || fingerprints[fingerprint] {
					t.Errorf("fingerprint %q is there twice, or none", fingerprint)
				}
				fingerprints[fingerprint] = true
			}
		}
	}
}

// checkMessage looks for what a reader would act on.
func checkMessage(t *testing.T, s string) {
	t.Helper()
	if s == "" {
		t.Error("an empty message")
	}
	if s != render.EscapeTerminal(s) {
		t.Errorf("not escaped: %q", s)
	}
	if strings.Contains(s, "](") {
		t.Errorf("a link: %s", s)
	}
	if bare := strings.NewReplacer("{{", "", "}}", "").Replace(s); strings.ContainsAny(bare, "{}") {
		t.Errorf("a placeholder: %s", s)
	}
}

func TestSARIFSaysWhatEachVerdictIs(t *testing.T) {
	got := map[string]string{}
	log := readSARIF(t, sarif(t, compared()))
	for _, run := range append(log.Runs, readSARIF(t, sarif(t, verified())).Runs...) {
		for _, r := range run.Results {
			got[r.Locations[0].LogicalLocations[0].FullyQualifiedName] = r.Kind + " " + r.Level + ": " + r.Message.Text
		}
	}
	for id, want := range map[string]string{
		"core/hardened/fs.dotdot":             "",
		"core/hardened/fs.proc-root":          `fail error: BREACHED on core: a container cannot reach the host tree through /proc/1/root: nonce\x1b]0;owned`,
		"core/hardened/fs.noexec":             "fail error: held on core: a container cannot execute a file on a noexec volume: left behind: mount ",
		"core/hardened/process.trace":         "open none: inconclusive on core: a container cannot trace a host process: control did not breach",
		"core/hardened/pids.fork-bomb":        "open none: not proven on core: a container cannot start more processes than its limit: its control or",
		"core/hardened/memory.hugetlb":        "notApplicable none: unsupported on core: ",
		"core/hardened/leak.power-sensors":    "informational none: not claimed on core: a container cannot read power or frequency sensors: not claimed at hardened",
		"core/hardened/pids.kill-fork-bomb":   "notApplicable none: unproven here on core: ",
		"runc/hardened/fs.mask-source":        "fail warning: known failure on runc: a container cannot swap what masks a file: it masks files with the image's /dev/null (CVE-2025-31133); advice: update to 1.2.8",
		"runc/hardened/time.offset":           "informational none: not claimed on runc: a container has clocks of its own: it makes no time namespace (since runc 1.2.0)",
		"bwrap/namespaces/kernel.sysrq":       "open none: inconclusive on bwrap: ",
		"bwrap/namespaces/leak.mount":         "fail error: not claimed on bwrap: a container leaves no mount: left behind: mount ",
		"bwrap/namespaces/net.raw":            "open none: not proven on bwrap: ",
		"bwrap/namespaces/fs.dotdot":          "",
		"core/hardened/process.signal-host":   "",
		"bwrap/namespaces/memory.swap-limit":  "notApplicable none: unsupported on bwrap: ",
		"bwrap/namespaces/kernel.modules":     "fail error: BREACHED on bwrap: ",
		"runc/hardened/pids.kill-fork-bomb":   "notApplicable none: unproven here on runc: ",
		"core/hardened/leak.host-identifiers": "informational none: ",
	} {
		if !strings.HasPrefix(got[id], want) || (want == "") != (got[id] == "") {
			t.Errorf("%s: %q, want %q", id, got[id], want)
		}
	}
	for i, want := range []string{"", "", "2 guarantees are open: kernel.sysrq, net.raw"} {
		in := log.Runs[i].Invocations[0]
		if in.ExecutionSuccessful != (want == "") || len(in.ToolExecutionNotifications) != map[bool]int{true: 0, false: 1}[want == ""] {
			t.Errorf("run %d: %+v", i, in)
		} else if want != "" && (in.ToolExecutionNotifications[0].Message.Text != want || in.ToolExecutionNotifications[0].Level != "warning") {
			t.Errorf("run %d: %+v", i, in)
		}
	}
	if p := log.Runs[1].Properties; len(p.Lacks) != 1 || len(p.Absent) != 2 || p.Absent[1] != `moon\x1b` || len(p.Idle) != 1 || p.Idle[0] != `docker: does not start a container here: no daemon\x1b` || len(p.Unasked) != 1 || p.Unasked[0] != `sun\x1b at chroot` {
		t.Errorf("properties %+v", p)
	}
	if help := log.Runs[0].Tool.Driver.Rules[0].Help.Text; !strings.Contains(help, "pivot_root(2)") || !strings.Contains(help, "path_resolution(7)") || !strings.Contains(help, "--only fs.dotdot") {
		t.Errorf("help %q", help)
	}
}

// A version that is none of Semantic Versioning is not said to be one.
func TestSARIFVersion(t *testing.T) {
	for version, want := range map[string]string{
		"v1.2.3": "1.2.3", "1.2.3-rc.1+b": "1.2.3-rc.1+b", "v0.0.0-20261127010203-abcdef123456": "0.0.0-20261127010203-abcdef123456",
		"(devel)": "", "1.2": "", "01.2.3": "", "": "", "v1.2.3\x1b": "",
	} {
		r := verified()
		r.Run.Version = version
		tool := readSARIF(t, sarif(t, r)).Runs[0].Tool.Driver
		if tool.SemanticVersion != want || tool.Version != render.EscapeTerminal(version) {
			t.Errorf("%q: %q and %q, want %q", version, tool.Version, tool.SemanticVersion, want)
		}
	}
}

func TestSARIFIsDeterministic(t *testing.T) {
	first := sarif(t, compared())
	for range 5 {
		if !bytes.Equal(first, sarif(t, compared())) {
			t.Fatal("differs from run to run")
		}
	}
}

func TestSARIFOnNothingIsAnError(t *testing.T) {
	if err := render.SARIF(new(bytes.Buffer), render.Report{Verdicts: []record.Verdict{}}, nil); err == nil {
		t.Error("no error")
	}
}
