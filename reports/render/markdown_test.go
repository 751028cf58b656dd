package render_test

import (
	"bytes"
	"strings"
	"testing"

	"cellwall/reports/record"
	"cellwall/reports/render"
)

func TestMarkdownMatchesGoldens(t *testing.T) {
	golden(t, "verify.md", bytesOf(t, func(b *bytes.Buffer) error { return render.VerifyMarkdown(b, verified()) }))
	golden(t, "ladder.md", bytesOf(t, func(b *bytes.Buffer) error { return render.LadderMarkdown(b, climbed()) }))
}

func TestMarkdownOnNothingIsAnError(t *testing.T) {
	if err := render.VerifyMarkdown(new(bytes.Buffer), render.Report{}); err == nil {
		t.Error("verify: no error")
	}
	if err := render.LadderMarkdown(new(bytes.Buffer), render.Report{}); err == nil {
		t.Error("ladder: no error")
	}
}

// A fence in a text must not close the block that holds it.
func TestAFenceInEvidenceStaysInside(t *testing.T) {
	v := verdict("fs.a", "claims", record.Breached, "", "")
	v.Evidence = "````text ``` `````"
	text := string(bytesOf(t, func(b *bytes.Buffer) error {
		return render.VerifyMarkdown(b, render.Report{Run: host(), Verdicts: []record.Verdict{v}})
	}))
	if got := strings.Count(text, "\n  ``````"); got != 2 {
		t.Errorf("%d fences of six, want 2:\n%s", got, text)
	}
}

// The words for an outcome name the runtime and who keeps the guarantee, which a record may say anything of.
func TestMarkdownEscapesOutcomes(t *testing.T) {
	v := verdict("fs.a", "claims", record.Held, "", "")
	v.Runtime, v.KeptBy, v.Alone, v.Leaks = "<b>", "<i>", nil, []string{"x"}
	text := string(bytesOf(t, func(b *bytes.Buffer) error {
		return render.VerifyMarkdown(b, render.Report{Run: host(), Verdicts: []record.Verdict{v}})
	}))
	if strings.Contains(text, "<b>") || strings.Contains(text, "<i>") || !strings.Contains(text, "proven on the core only") {
		t.Errorf("got\n%s", text)
	}
}
