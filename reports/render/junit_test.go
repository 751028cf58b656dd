package render_test

import (
	"bytes"
	"encoding/xml"
	"strings"
	"testing"

	"cellwall/reports/record"
	"cellwall/reports/render"
)

func junit(t *testing.T, r render.Report) []byte {
	t.Helper()
	return bytesOf(t, func(b *bytes.Buffer) error { return render.JUnit(b, r) })
}

func TestJUnitMatchesGolden(t *testing.T) { golden(t, "junit.xml", junit(t, verified())) }

// readCase is a case as a reader of the format sees it, parsed apart from the writer's types.
type readCase struct {
	Name    string `xml:"name,attr"`
	Failure *struct {
		Type    string `xml:"type,attr"`
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	} `xml:"failure"`
	Error *struct {
		Message string `xml:"message,attr"`
	} `xml:"error"`
	Skipped *struct {
		Message string `xml:"message,attr"`
	} `xml:"skipped"`
}

type readSuites struct {
	Tests    int `xml:"tests,attr"`
	Failures int `xml:"failures,attr"`
	Errors   int `xml:"errors,attr"`
	Skipped  int `xml:"skipped,attr"`
	Suites   []struct {
		Tests    int        `xml:"tests,attr"`
		Failures int        `xml:"failures,attr"`
		Errors   int        `xml:"errors,attr"`
		Skipped  int        `xml:"skipped,attr"`
		Cases    []readCase `xml:"testcase"`
	} `xml:"testsuite"`
}

func TestJUnitSaysWhatEachVerdictIs(t *testing.T) {
	var doc readSuites
	if err := xml.Unmarshal(junit(t, verified()), &doc); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, s := range doc.Suites {
		var failures, errs, skipped int
		for _, c := range s.Cases {
			switch {
			case c.Failure != nil:
				failures++
				got[c.Name] = "failure " + c.Failure.Type + ": " + c.Failure.Message
			case c.Error != nil:
				errs++
				got[c.Name] = "error: " + c.Error.Message
			case c.Skipped != nil:
				skipped++
				got[c.Name] = "skipped: " + c.Skipped.Message
			default:
				got[c.Name] = "passed"
			}
		}
		if s.Tests != len(s.Cases) || s.Failures != failures || s.Errors != errs || s.Skipped != skipped {
			t.Errorf("suite counts %d %d %d %d, holds %d %d %d %d", s.Tests, s.Failures, s.Errors, s.Skipped, len(s.Cases), failures, errs, skipped)
		}
	}
	for id, want := range map[string]string{
		"fs.dotdot":             "passed",
		"fs.proc-root":          "failure breached: breached: a container cannot reach the host tree through /proc/1/root",
		"fs.noexec":             "failure leak: left behind: mount /tmp/cellwall-r1-3",
		"process.signal-host":   "passed",
		"process.trace":         "error: inconclusive: control did not breach",
		"pids.fork-bomb":        "skipped: held, but not proven",
		"pids.kill-fork-bomb":   "skipped: unproven here: its control may only run in a throw-away guest",
		"memory.hugetlb":        "skipped: unsupported: no huge pages are reserved",
		"leak.power-sensors":    "skipped: breached, but not claimed at hardened",
		"leak.host-identifiers": "skipped: breached, but not claimed at hardened",
	} {
		if !strings.HasPrefix(got[id], want) {
			t.Errorf("%s: %q, want %q", id, got[id], want)
		}
	}
	if doc.Tests != 10 || doc.Failures != 2 || doc.Errors != 1 || doc.Skipped != 5 {
		t.Errorf("totals %+v", doc)
	}
	if text := doc.Suites[0].Cases[1].Failure.Text; !strings.Contains(text, `evidence: nonce\x1b]0;owned`) || !strings.Contains(text, "<script>") {
		t.Errorf("the failure's text is %q", text)
	}
}

// A report to which a runtime was absent says so, and every runtime has suites of its own.
func TestJUnitOfSeveralRuntimes(t *testing.T) {
	text := string(junit(t, compared()))
	for _, want := range []string{
		`<property name="absent" value="youki, moon\x1b">`, `<testsuite name="core.hardened.fs"`, `<testsuite name="bwrap.namespaces.fs"`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s", want)
		}
	}
}

func TestJUnitIsDeterministic(t *testing.T) {
	first := junit(t, verified())
	for range 5 {
		if !bytes.Equal(first, junit(t, verified())) {
			t.Fatal("differs from run to run")
		}
	}
}

func TestJUnitOnNothingIsAnError(t *testing.T) {
	if err := render.JUnit(new(bytes.Buffer), render.Report{Verdicts: []record.Verdict{}}); err == nil {
		t.Error("no error")
	}
}
