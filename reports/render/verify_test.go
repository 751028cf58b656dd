package render_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/clipperhouse/displaywidth"

	"cellwall/reports/record"
	"cellwall/reports/render"
)

func verifyText(t *testing.T, r render.Report, text render.Text) []byte {
	t.Helper()
	return bytesOf(t, func(b *bytes.Buffer) error { return render.VerifyText(b, r, text) })
}

func TestVerifyTextMatchesGoldens(t *testing.T) {
	for name, text := range map[string]render.Text{
		"verify.txt":         {},
		"verify-80.txt":      {Width: 80},
		"verify-48.txt":      {Width: 48},
		"verify-verbose.txt": {Width: 100, Verbose: true},
		"verify-colour.txt":  {Width: 100, Style: render.Colour},
	} {
		golden(t, name, verifyText(t, verified(), text))
	}
}

func TestLastLine(t *testing.T) {
	held := func(id string) record.Verdict { return verdict(id, "claims", record.Held, "x", "EPERM") }
	unclaimed := verdict("c.c", "claims", record.Breached, "", "")
	unclaimed.Claimed = false
	low := held("a.a")
	low.Rung = "bare"
	tests := []struct {
		name     string
		verdicts []record.Verdict
		want     string
	}{
		{"plain", []record.Verdict{held("a.a"), held("a.b")}, "core on 6.18.44 (cgroup hybrid): 2 held, 2 proven, 0 breached, 0 unsupported, 0 inconclusive, 2.1 s"},
		{"all", verified().Verdicts, "core on 6.18.44 (cgroup hybrid): 4 held, 3 proven, 1 breached, 1 unsupported, 1 inconclusive, 1 unproven here, 2 not claimed, 2.1 s"},
		{"not claimed", []record.Verdict{unclaimed}, "core on 6.18.44 (cgroup hybrid): 0 held, 0 proven, 0 breached, 0 unsupported, 0 inconclusive, 1 not claimed, 2.1 s"},
		{"two rungs", []record.Verdict{held("a.a"), low}, "core at bare on 6.18.44 (cgroup hybrid): 1 held, 1 proven, 0 breached, 0 unsupported, 0 inconclusive"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := verified()
			r.Verdicts = tt.verdicts
			text := string(verifyText(t, r, render.Text{Width: 40}))
			lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
			if got := lines[len(lines)-1]; got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// A stored run does not say how long it took by the clock.
func TestLastLineWithoutTheTime(t *testing.T) {
	r := verified()
	r.Elapsed = 0
	if text := string(verifyText(t, r, render.Text{})); !strings.HasSuffix(text, " inconclusive, 1 unproven here, 2 not claimed\n") {
		t.Errorf("ends in %q", text[len(text)-60:])
	}
}

// What is held but not proven says why.
func TestNotProvenSaysWhatIsMissing(t *testing.T) {
	for _, tt := range []struct {
		want   string
		change func(*record.Verdict)
	}{
		{"control: none was run\n", func(v *record.Verdict) { v.Control = nil }},
		{"alone: the barrier alone was not run\n", func(v *record.Verdict) { v.Alone = nil }},
		{"alone: the barrier alone on core: breached, because\n", func(v *record.Verdict) {
			v.Alone = &record.Trial{On: "core", Outcome: record.Breached, Reason: "because"}
		}},
	} {
		v := verdict("fs.a", "claims", record.Held, "x", "EPERM")
		tt.change(&v)
		r := render.Report{Run: host(), Verdicts: []record.Verdict{v}}
		if text := string(verifyText(t, r, render.Text{})); !strings.Contains(text, "      "+tt.want) {
			t.Errorf("no %q in\n%s", tt.want, text)
		}
	}
}

// Where a proof was run is said of what is held.
func TestWhereTheProofRan(t *testing.T) {
	core, runc := record.Trial{On: "core", Outcome: record.Breached}, record.Trial{On: "runc", Outcome: record.Breached}
	const byCore, coreOnly = "Held, and proven by a control on the core\n  fs.a\n", "Held, and proven on the core only: nothing but the attack on the whole container ran on runc\n  fs.a\n"
	for name, tt := range map[string]struct {
		change func(*record.Verdict)
		want   string // "": nothing to say
	}{
		"all on runc":                        {func(v *record.Verdict) { v.Control = &runc }, ""},
		"the control on the core":            {func(v *record.Verdict) { v.Control = &core }, byCore},
		"one of the controls":                {func(v *record.Verdict) { v.Control, v.Controls = &runc, []record.Trial{runc, core} }, byCore},
		"the control, and not alone":         {func(v *record.Verdict) { v.Control, v.Alone = &core, nil }, coreOnly},
		"one of the controls, and not alone": {func(v *record.Verdict) { v.Control, v.Controls, v.Alone = &core, []record.Trial{core, runc}, nil }, byCore},
	} {
		v := verdict("fs.a", "claims", record.Held, "x", "EPERM")
		v.Runtime = "runc"
		tt.change(&v)
		text := string(verifyText(t, render.Report{Run: host(), Verdicts: []record.Verdict{v}}, render.Text{}))
		if strings.Contains(text, "Held, and") != (tt.want != "") || !strings.Contains(text, tt.want) {
			t.Errorf("%s: no %q in\n%s", name, tt.want, text)
		}
	}
}

func TestVerifyTextKeepsItsWidth(t *testing.T) {
	r := verified()
	r.Verdicts[0].Claim = strings.Repeat("漢字", 60)
	for width := 48; width < 180; width += 7 {
		lines := strings.Split(string(verifyText(t, r, render.Text{Width: width, Verbose: true})), "\n")
		for _, l := range lines[:len(lines)-2] { // the last line of a report is the same at every width
			if n := displaywidth.String(l); n > width && !strings.Contains(l, "again: ") {
				t.Errorf("%d columns of %d: %s", n, width, l)
			}
		}
	}
}

// Whatever is not held must be seen at the end, also where the table has scrolled away.
func TestWhatIsNotHeldIsRepeated(t *testing.T) {
	text := string(verifyText(t, verified(), render.Text{}))
	_, end, ok := strings.Cut(text, "Not held")
	if !ok {
		t.Fatal("nothing is repeated")
	}
	for _, v := range verified().Verdicts {
		plain := v.Outcome == record.Held && v.Proven() && len(v.Leaks) == 0
		if got := strings.Contains(end, v.Guarantee); got == plain {
			t.Errorf("%s (%s) repeated: %v", v.Guarantee, v.Outcome, got)
		}
	}
	for _, want := range []string{
		"      control: the host's fs barrier on core: breached\n",
		"      again: cellwall verify --runtime core --only fs.proc-root -v\n",
		"      reason: control did not breach\n",
		"      leak: mount /tmp/cellwall-r1-3\n",
		`evidence: nonce\x1b]0;owned\x07`,
	} {
		if !strings.Contains(end, want) {
			t.Errorf("no %q", want)
		}
	}
}

func TestAReportOnNothingIsAnError(t *testing.T) {
	if err := render.VerifyText(new(bytes.Buffer), render.Report{Run: host()}, render.Text{}); err == nil {
		t.Error("no error")
	}
}

type broken struct{ err error }

func (b broken) Write([]byte) (int, error) { return 0, b.err }

func TestAFailedWriteIsReported(t *testing.T) {
	want := errors.New("full")
	if err := render.VerifyText(broken{want}, verified(), render.Text{}); !errors.Is(err, want) {
		t.Errorf("got %v", err)
	}
}
