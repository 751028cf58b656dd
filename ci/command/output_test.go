package command

import (
	"io"
	"strings"
	"testing"

	"cellwall/reports/render"
)

// TestTextComesFirst: where --out cannot be made the verdicts are shown all the same.
func TestTextComesFirst(t *testing.T) {
	say := func(text string) func(io.Writer, render.Report) error {
		return func(w io.Writer, _ render.Report) error { _, err := io.WriteString(w, text); return err }
	}
	f := outputFlags{out: "/proc/none", format: []string{"text"}}
	var b strings.Builder
	err := f.write(&b, render.Report{}, []format{{name: "text", write: say("held")}, {name: "jsonl", file: recordsFile, always: true, write: say("{}")}})
	if err == nil || !strings.Contains(err.Error(), "/proc/none") || b.String() != "held" {
		t.Errorf("%q, %v", b.String(), err)
	}
}
