package render_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/clipperhouse/displaywidth"

	"cellwall/reports/record"
	"cellwall/reports/render"
)

func TestComparisonMatchesGoldens(t *testing.T) {
	for name, text := range map[string]render.Text{
		"compare.txt":        {},
		"compare-60.txt":     {Width: 60},
		"compare-40.txt":     {Width: 40},
		"compare-colour.txt": {Width: 100, Style: render.Colour},
	} {
		golden(t, name, verifyText(t, compared(), text))
	}
	golden(t, "compare.md", bytesOf(t, func(b *bytes.Buffer) error { return render.VerifyMarkdown(b, compared()) }))
}

// matrixOf returns the lines from the one that counts what is the same to the next empty one.
func matrixOf(t *testing.T, text string) []string {
	t.Helper()
	at := strings.Index(text, " guarantees are the same on all")
	if at < 0 {
		t.Fatalf("no matrix in\n%s", text)
	}
	start := strings.LastIndex(text[:at], "\n") + 1
	matrix, _, _ := strings.Cut(text[start:], "\n\n")
	return strings.Split(matrix, "\n")
}

// Only rows that differ are in the table, and all of those.
func TestMatrixShowsWhatDiffers(t *testing.T) {
	lines := matrixOf(t, string(verifyText(t, compared(), render.Text{})))
	if want := "5 of 7 guarantees are the same on all, 4 were tried on some only"; lines[0] != want {
		t.Errorf("got %q, want %q", lines[0], want)
	}
	var got []string
	for _, l := range lines[2:] {
		got = append(got, strings.Join(strings.Fields(l), " "))
	}
	want := []string{
		"fs.mask-source held known failure held",
		"time.offset held not claimed held",
		"kernel.modules not tried not tried BREACHED",
		"kernel.sysrq not tried not tried inconclusive",
		"leak.mount not tried not tried not claimed, leaked",
		"net.raw not tried not tried not proven",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if head := strings.Join(strings.Fields(lines[1]), " "); head != "core runc bwrap" {
		t.Errorf("heads %q", head)
	}
}

func TestOneRuntimeHasNoMatrix(t *testing.T) {
	for _, r := range []render.Report{verified(), compared().ByRuntime()[1], climbed()} {
		for name, text := range map[string]string{
			"text":     string(verifyText(t, r, render.Text{})),
			"markdown": string(bytesOf(t, func(b *bytes.Buffer) error { return render.VerifyMarkdown(b, r) })),
		} {
			if strings.Contains(text, "the same on all") || strings.Contains(text, "Not all ran") {
				t.Errorf("%s compares one runtime:\n%s", name, text)
			}
		}
	}
}

// Of several runtimes the long tables come only with -v, and what is not plainly held always.
func TestSeveralRuntimesAreBrief(t *testing.T) {
	const row = "✓ fs.dotdot"
	brief := string(verifyText(t, compared(), render.Text{}))
	if strings.Contains(brief, row) {
		t.Errorf("a row that is held everywhere:\n%s", brief)
	}
	for _, want := range []string{"× fs.mask-source", "✗ kernel.modules", "Not on this host, and not verified: youki, moon\\x1b\n", "docker: does not start a container here: no daemon\\x1b\n", "Without a guarantee of the selection, and not verified: sun\\x1b at chroot\n", "Not all ran at the same rung: hardened: core, runc; namespaces: bwrap\n"} {
		if strings.Count(brief, want) != 1 {
			t.Errorf("%d times %q", strings.Count(brief, want), want)
		}
	}
	if strings.Contains(brief, "control: no limit") {
		t.Error("the control of what is unsupported")
	}
	if verbose := string(verifyText(t, compared(), render.Text{Verbose: true})); strings.Count(verbose, row) != 3 || strings.Count(verbose, "control: no limit") != 6 {
		t.Errorf("with -v:\n%s", verbose)
	}
	end := strings.Split(strings.TrimSpace(brief), "\n")
	for i, want := range []string{"core at hardened on ", "runc at hardened on ", "bwrap at namespaces on "} {
		if got := end[len(end)-3+i]; !strings.HasPrefix(got, want) {
			t.Errorf("line %q, want %q", got, want)
		}
	}
}

// many is a comparison of n runtimes that differ in one row; hostile names and ids are among them.
func many(n int) render.Report {
	r := render.Report{Run: host()}
	for i := range n {
		for _, id := range []string{"fs.a", "fs." + strings.Repeat("漢", 40)} {
			v := verdict(id, "claims", record.Held, "x", "EPERM")
			v.Runtime = fmt.Sprintf("runtime-%d\x1b[2J", i)
			if i == 1 {
				v.Outcome = record.Unsupported
			}
			r.Verdicts = append(r.Verdicts, v)
		}
	}
	return r
}

func TestMatrixFitsTheWidth(t *testing.T) {
	for n := 2; n <= 10; n++ {
		for width := 48; width < 200; width += 7 {
			for _, l := range matrixOf(t, string(verifyText(t, many(n), render.Text{Width: width}))) {
				if w := displaywidth.String(l); w > width {
					t.Errorf("%d runtimes, %d columns of %d: %s", n, w, width, l)
				}
			}
		}
	}
	for _, l := range matrixOf(t, string(verifyText(t, compared(), render.Text{Width: 60})))[:2] {
		if w := displaywidth.String(l); w > 60 { // the title, with what was not tried on all
			t.Errorf("%d columns of 60: %s", w, l)
		}
	}
	// What the cells say is the same at every width: words, or marks that a line explains.
	for width, want := range map[int]string{0: "unsupported", 70: "✓ held, - unsupported", 48: "✓ held, - unsupported"} {
		if text := strings.Join(matrixOf(t, string(verifyText(t, many(3), render.Text{Width: width}))), "\n"); !strings.Contains(text, want) {
			t.Errorf("width %d: no %q in\n%s", width, want, text)
		}
	}
}

// Two that agree have a matrix of no rows, and say that all was held.
func TestRuntimesThatAgree(t *testing.T) {
	r := render.Report{Run: host()}
	for _, rt := range []string{"core", "runc"} {
		v := verdict("fs.a", "claims", record.Held, "x", "EPERM")
		v.Runtime = rt
		r.Verdicts = append(r.Verdicts, v)
	}
	text := string(verifyText(t, r, render.Text{}))
	if got := matrixOf(t, text); len(got) != 1 || got[0] != "1 of 1 guarantees are the same on all" {
		t.Errorf("got %q", got)
	}
	if strings.Count(text, "✓ all 1 held\n") != 2 {
		t.Errorf("got\n%s", text)
	}
}

func TestByRuntime(t *testing.T) {
	all := compared().ByRuntime()
	if len(all) != 3 || all[2].Verdicts[0].Runtime != "bwrap" || len(all[2].Run.Runtimes) != 1 || all[2].Run.Runtimes[0].Name != "bwrap" || all[0].Run.Absent != nil || all[0].Run.Idle != nil || all[0].Run.Unasked != nil {
		t.Errorf("got %+v", all)
	}
	if len(compared().Run.Absent) != 2 {
		t.Error("the report that was split has changed")
	}
}

func TestOneKnownFailureIsSingular(t *testing.T) {
	r := compared().ByRuntime()[1]
	if text := string(verifyText(t, r, render.Text{})); !strings.Contains(text, ", 1 known failure, ") {
		t.Errorf("got\n%s", text)
	}
	r.Verdicts = append(r.Verdicts, r.Verdicts[1])
	if text := string(verifyText(t, r, render.Text{})); !strings.Contains(text, ", 2 known failures, ") {
		t.Errorf("got\n%s", text)
	}
}

// TestMatrixLeavesOutWhatALowerRungIsNotTriedOn has a runtime at a lower rung: that it was not tried on
// what the others hold is no difference.
func TestMatrixLeavesOutWhatALowerRungIsNotTriedOn(t *testing.T) {
	r := render.Report{}
	for _, v := range []struct {
		runtime, id string
		outcome     record.Outcome
	}{
		{"core", "fs.both", record.Held},
		{"core", "fs.held", record.Held},
		{"core", "fs.unsupported", record.Unsupported},
		{"core", "fs.breached", record.Breached},
		{"chroot", "fs.both", record.Held},
	} {
		one := verdict(v.id, "claims", v.outcome, "", "")
		one.Runtime = v.runtime
		r.Verdicts = append(r.Verdicts, one)
	}
	lines := matrixOf(t, string(verifyText(t, r, render.Text{})))
	if want := "1 of 1 guarantees are the same on all, 3 were tried on some only"; lines[0] != want || len(lines) != 3 || !strings.Contains(lines[2], "fs.breached") {
		t.Errorf("got %q", lines)
	}
}
