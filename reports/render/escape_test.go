package render_test

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"cellwall/reports/record"
	"cellwall/reports/render"
)

func TestEscapeTerminal(t *testing.T) {
	tests := []struct{ in, want string }{
		{"", ""},
		{"plain 'text' \\ ~", "plain 'text' \\ ~"},
		{"é漢✓€", "é漢✓€"},
		{"a\nb\rc\td\x00\x1b\x7f", `a\nb\rc\td\x00\x1b\x7f`},
		{"\u0080\u009b", `\u0080\u009b`},
		{"\xff\xc3", `\xff\xc3`},
		{"\u202e\u2066\u200f\u061c", `\u202e\u2066\u200f\u061c`},
		{"\u200b\u00ad\ufeff\u2028\u2029\u00a0\u3000", `\u200b\u00ad\ufeff\u2028\u2029\u00a0\u3000`},
		{"e\u0301\u20dd\ufe0f", `e\u0301\u20dd\ufe0f`},
		{"\u3164\u115f\u2800", `\u3164\u115f\u2800`},
		{"\U000e0041\ue000", `\U000e0041\ue000`},
		{"\u05d0\u0627\u0661", `\u05d0\u0627\u0661`}, // letters and digits written from right to left
	}
	for _, tt := range tests {
		got := render.EscapeTerminal(tt.in)
		if got != tt.want {
			t.Errorf("%q: got %s, want %s", tt.in, got, tt.want)
		}
		if again := render.EscapeTerminal(got); again != got {
			t.Errorf("%q: a second pass changes %s to %s", tt.in, got, again)
		}
	}
}

func TestEscapeMarkdown(t *testing.T) {
	tests := []struct{ in, want string }{
		{"fs.dotdot: cannot - a + b # c = d", "fs.dotdot: cannot - a + b # c = d"},
		{"no_new_privs *x* `y` ~~z~~", "no\\_new\\_privs \\*x\\* \\`y\\` \\~\\~z\\~\\~"},
		{"[a](b) ![c](d)", `\[a\](b) \!\[c\](d)`},
		{"<b>&amp;</b>", "&lt;b&gt;&amp;amp;&lt;/b&gt;"},
		{`a|b\|c\`, `a&#124;b\\&#124;c\\`},
		{"# h", `\# h`},
		{"- l", `\- l`},
		{"+ l", `\+ l`},
		{"===", `\===`},
		{"1. l", `1\. l`},
		{"12) l", `12\) l`},
		{"    code", "&#32;   code"},
		{"https://x.example www.x.example WWW.x a@b.c", `https\://x.example www\.x.example WWW\.x a\@b.c`},
		{"$x$", "&#36;x&#36;"},
		{"a\n\n# b\x1b", `a\\n\\n# b\\x1b`},
	}
	for _, tt := range tests {
		if got := render.EscapeMarkdown(tt.in); got != tt.want {
			t.Errorf("%q: got %s, want %s", tt.in, got, tt.want)
		}
	}
}

func TestEscapeSARIF(t *testing.T) {
	if got, want := render.EscapeSARIF("{0} [a](b) [c] (d)\x1b\n"), `{{0}} [a] (b) [c] (d)\x1b\n`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestEscapeXML(t *testing.T) {
	if got, want := render.EscapeXML("<a href=\"x\">&'\x1b\x00\ufffe]]>\n"), `&lt;a href=&quot;x&quot;&gt;&amp;&#39;\x1b\x00\ufffe]]&gt;\n`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

var sgr = regexp.MustCompile(`\x1b\[[0-9;]*m`)

// renderers are all of the package's, by name.
func renderers() map[string]func(*bytes.Buffer, render.Report) error {
	return map[string]func(*bytes.Buffer, render.Report) error{
		"verify": func(b *bytes.Buffer, r render.Report) error {
			return render.VerifyText(b, r, render.Text{Width: 60, Verbose: true})
		},
		"verify colour": func(b *bytes.Buffer, r render.Report) error {
			return render.VerifyText(b, r, render.Text{Style: render.Colour, Verbose: true})
		},
		"ladder":  func(b *bytes.Buffer, r render.Report) error { return render.LadderText(b, r, render.Text{Width: 60}) },
		"picture": func(b *bytes.Buffer, r render.Report) error { return render.LadderPicture(b, r, render.Text{}) },
		"picture 20": func(b *bytes.Buffer, r render.Report) error {
			return render.LadderPicture(b, r, render.Text{Width: 20})
		},
		"markdown":    func(b *bytes.Buffer, r render.Report) error { return render.VerifyMarkdown(b, r) },
		"markdown l.": func(b *bytes.Buffer, r render.Report) error { return render.LadderMarkdown(b, r) },
		"xml svg":     func(b *bytes.Buffer, r render.Report) error { return render.LadderSVG(b, r) },
		"compare": func(b *bytes.Buffer, r render.Report) error {
			return render.VerifyText(b, twice(r), render.Text{Width: 60})
		},
		"compare verbose": func(b *bytes.Buffer, r render.Report) error {
			return render.VerifyText(b, twice(r), render.Text{Verbose: true})
		},
		"markdown compare":       func(b *bytes.Buffer, r render.Report) error { return render.VerifyMarkdown(b, twice(r)) },
		"markdown page":          func(b *bytes.Buffer, r render.Report) error { return render.Page(b, r, noHow) },
		"sarif":                  func(b *bytes.Buffer, r render.Report) error { return render.SARIF(b, twice(r), rules()) },
		"xml junit":              func(b *bytes.Buffer, r render.Report) error { return render.JUnit(b, r) },
		"progress":               func(b *bytes.Buffer, r render.Report) error { return progress(b, r, false) },
		"progress on a terminal": func(b *bytes.Buffer, r render.Report) error { return progress(b, r, true) },
	}
}

func progress(b *bytes.Buffer, r render.Report, terminal bool) error {
	p := &render.Progress{Out: b, Terminal: terminal, Several: true}
	p.Start(len(r.Verdicts))
	for _, v := range r.Verdicts {
		p.Begin(v.Runtime, v.Guarantee)
		p.Done(v)
	}
	p.Finish()
	return nil
}

// twice adds a second runtime, which holds nothing.
func twice(r render.Report) render.Report {
	for _, v := range slices.Clone(r.Verdicts) {
		v.Runtime, v.Outcome = v.Runtime+"2", record.Unsupported
		r.Verdicts = append(r.Verdicts, v)
	}
	return r
}

// filled is a report with s in every text of it.
func filled(s string) render.Report {
	trial := record.Trial{Edit: s, On: s, Rung: s, Outcome: record.Held, DeniedBy: s, Errno: s, Evidence: s, Reason: s}
	run := host()
	run.Version, run.Kernel, run.Machine, run.CgroupMode, run.Lockdown, run.ID = s, s, s, s, s, s
	run.Absent, run.Idle, run.Unasked, run.Runtimes = []string{s}, []string{s}, []string{s}, []record.Runtime{{Name: s, Version: s, Lacks: []string{s}}}
	r := render.Report{Run: run, Elapsed: time.Second}
	for i, known := range []bool{true, false} {
		r.Verdicts = append(r.Verdicts, record.Verdict{
			Run: s, Guarantee: fmt.Sprint("known ", i, s), Group: s, Claim: s, Runtime: s, RuntimeVersion: s, Rung: s, Claimed: known, Outcome: record.Breached,
			Exception: &record.Exception{Known: known, Reason: s, Source: s, Advice: s},
		})
	}
	for i, o := range append(record.Outcomes(), record.Breached) {
		r.Verdicts = append(r.Verdicts, record.Verdict{
			Run: s, Guarantee: fmt.Sprint(i, s), Group: s, Claim: s, Runtime: s, RuntimeVersion: s, Rung: s, Claimed: i < 5,
			Outcome: o, DeniedBy: s, Errno: s, Evidence: s, Reason: s, Tries: []record.Try{{Call: s, Errno: s}},
			Control: &trial, Controls: []record.Trial{trial}, Alone: &trial, Leaks: []string{s}, Again: s,
		})
	}
	for i, keptBy := range []string{"", s} {
		r.Verdicts = append(r.Verdicts, record.Verdict{
			Run: s, Guarantee: fmt.Sprint("proven ", i, s), Group: s, Claim: s, Runtime: s, Rung: s, Claimed: true, Outcome: record.Held, KeptBy: keptBy,
			Control: &record.Trial{On: "another than " + s, Outcome: record.Breached},
		})
	}
	return r
}

// Whatever a record says, no renderer may let it act: no control, format or bidirectional
// character comes out, no line and no XML element is added.
func FuzzHostileText(f *testing.F) {
	f.Add(hostile)
	f.Add("\x1b[31m\u202e\u2066\u009b\xff\x00\r\n")
	f.Add("]]></system-out><testcase/>")
	f.Add("</title><script>alert(1)</script><!-- --> {{.X}}")
	f.Add("```\n\n# x\n| a | b |")
	f.Add(strings.Repeat("漢", 99) + "\u200d\U0001f468\u0301")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		for name, write := range renderers() {
			var b, plain bytes.Buffer
			if err := write(&b, filled(s)); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if err := write(&plain, filled("x")); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			out := b.String()
			switch name {
			case "verify colour":
				out = sgr.ReplaceAllString(out, "")
			case "progress on a terminal":
				out = strings.ReplaceAll(out, "\r\x1b[K", "")
			}
			if !utf8.ValidString(out) {
				t.Fatalf("%s: invalid UTF-8 in %q", name, out)
			}
			for _, r := range out {
				if r != '\n' && (unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co, unicode.Bidi_Control) || r == 0xfffe) {
					t.Fatalf("%s: %U comes out in %q", name, r, out)
				}
			}
			switch {
			case name == "sarif":
				for _, run := range readSARIF(t, b.Bytes()).Runs {
					for _, result := range run.Results {
						checkMessage(t, result.Message.Text)
					}
				}
			case strings.HasPrefix(name, "xml"):
				got, want := elements(t, b.Bytes()), elements(t, plain.Bytes())
				if s != "" && fmt.Sprint(got) != fmt.Sprint(want) { // an empty text leaves elements out
					t.Fatalf("%s: elements %v, want %v", name, got, want)
				}
			case strings.HasPrefix(name, "markdown"):
				if got, want := strings.Count(out, "\n"), strings.Count(plain.String(), "\n"); s != "" && got != want {
					t.Fatalf("%s: %d lines, want %d", name, got, want)
				}
			}
		}
	})
}
