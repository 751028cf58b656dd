package render

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"

	"cellwall/reports/record"
)

type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Name     string       `xml:"name,attr"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Errors   int          `xml:"errors,attr"`
	Skipped  int          `xml:"skipped,attr"`
	Time     string       `xml:"time,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name       string          `xml:"name,attr"`
	Tests      int             `xml:"tests,attr"`
	Failures   int             `xml:"failures,attr"`
	Errors     int             `xml:"errors,attr"`
	Skipped    int             `xml:"skipped,attr"`
	Time       string          `xml:"time,attr"`
	Timestamp  string          `xml:"timestamp,attr,omitempty"`
	Properties []junitProperty `xml:"properties>property"`
	Cases      []junitCase     `xml:"testcase"`
}

type junitProperty struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type junitCase struct {
	Name      string     `xml:"name,attr"`
	Class     string     `xml:"classname,attr"`
	Time      string     `xml:"time,attr"`
	Skipped   *junitText `xml:"skipped"`
	Error     *junitText `xml:"error"`
	Failure   *junitText `xml:"failure"`
	SystemOut *junitText `xml:"system-out"`
}

// junitText is a message and a body. Body is XML, so that its line breaks stay as they are.
type junitText struct {
	Message string `xml:"message,attr,omitempty"`
	Type    string `xml:"type,attr,omitempty"`
	Body    string `xml:",innerxml"`
}

// JUnit writes JUnit XML as Jenkins (junit-10.xsd) and GitLab read it: a suite for each runtime,
// rung and group, a case for each guarantee. A breach of what is claimed and a leak are failures;
// inconclusive is an error; unsupported, unproven, not claimed, and held without proof are
// skipped with their reason. The output depends on the report alone.
func JUnit(w io.Writer, r Report) error {
	if len(r.Verdicts) == 0 {
		return errEmpty
	}
	all := junitSuites{Name: "cellwall"}
	for _, part := range r.parts() {
		for _, group := range byGroup(part.Verdicts) {
			s := r.junitSuite(group)
			all.Suites = append(all.Suites, s)
			all.Tests, all.Failures, all.Errors, all.Skipped = all.Tests+s.Tests, all.Failures+s.Failures, all.Errors+s.Errors, all.Skipped+s.Skipped
		}
	}
	all.Time = junitTime(record.Count(r.Verdicts).Spent)
	var b bytes.Buffer
	b.WriteString(xml.Header)
	enc := xml.NewEncoder(&b)
	enc.Indent("", "  ")
	if err := enc.Encode(all); err != nil {
		return fmt.Errorf("encode JUnit XML: %w", err)
	}
	b.WriteString("\n")
	return flush(w, &b)
}

func (r Report) junitSuite(group record.Part) junitSuite {
	v := &group.Verdicts[0]
	// Jenkins takes what precedes the last dot of a class for its package.
	name := EscapeTerminal(strings.Join([]string{v.Runtime, v.Rung, group.Name}, "."))
	s := junitSuite{Name: name, Tests: len(group.Verdicts), Time: junitTime(record.Count(group.Verdicts).Spent)}
	if !r.Run.Time.IsZero() {
		s.Timestamp = r.Run.Time.UTC().Format("2006-01-02T15:04:05") // the schema allows no zone
	}
	for _, p := range [][2]string{
		{"runtime", v.Runtime},
		{"runtime_version", v.RuntimeVersion},
		{"rung", v.Rung},
		{"kernel", r.Run.Kernel},
		{"machine", r.Run.Machine},
		{"cgroup_mode", r.Run.CgroupMode},
		{"cellwall", r.Run.Version},
		{"absent", strings.Join(r.Run.Absent, ", ")},
		{"idle", strings.Join(r.Run.Idle, ", ")},
		{"unasked", strings.Join(r.Run.Unasked, ", ")},
	} {
		if p[0] != "absent" && p[0] != "idle" && p[0] != "unasked" || p[1] != "" {
			s.Properties = append(s.Properties, junitProperty{Name: p[0], Value: EscapeTerminal(p[1])})
		}
	}
	for i := range group.Verdicts {
		c := junitVerdict(name, &group.Verdicts[i])
		switch {
		case c.Failure != nil:
			s.Failures++
		case c.Error != nil:
			s.Errors++
		case c.Skipped != nil:
			s.Skipped++
		}
		s.Cases = append(s.Cases, c)
	}
	return s
}

func junitTime(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }

func junitVerdict(class string, v *record.Verdict) junitCase {
	c := junitCase{Name: EscapeTerminal(v.Guarantee), Class: class, Time: junitTime(v.Duration)}
	lines := []string{"a container " + v.Claim}
	for _, d := range details(v, false) {
		lines = append(lines, d.String())
	}
	for i, l := range lines {
		lines[i] = EscapeXML(l)
	}
	text := func(kind, message string) *junitText {
		return &junitText{Type: kind, Message: EscapeTerminal(message), Body: "\n" + strings.Join(lines, "\n") + "\n"}
	}
	switch l := lookOf(v); {
	case l == lookBreached:
		c.Failure = text("breached", "breached: a container "+v.Claim)
	case len(v.Leaks) > 0:
		c.Failure = text("leak", "left behind: "+strings.Join(v.Leaks, ", "))
	case l == lookInconclusive:
		c.Error = text("inconclusive", "inconclusive: "+or(v.Reason, "no reason given"))
	case l == lookNotProven:
		c.Skipped = text("", "held, but not proven: its control or the barrier alone did not behave")
	case l == lookKnown:
		c.Skipped = text("", "breached, as is known: "+v.Exception.Reason)
	case l == lookNotClaimed && v.Exception != nil:
		c.Skipped = text("", "breached, but not claimed: "+v.Exception.Reason)
	case l == lookNotClaimed:
		c.Skipped = text("", "breached, but not claimed at "+v.Rung)
	case l != lookHeld:
		c.Skipped = text("", l.word()+": "+or(v.Reason, "no reason given"))
	default:
		c.SystemOut = text("", "")
	}
	return c
}
