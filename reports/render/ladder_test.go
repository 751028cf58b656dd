package render_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/clipperhouse/displaywidth"

	"cellwall/reports/record"
	"cellwall/reports/render"
)

func TestLadderMatchesGoldens(t *testing.T) {
	for name, write := range map[string]func(*bytes.Buffer) error{
		"ladder.txt":     func(b *bytes.Buffer) error { return render.LadderText(b, climbed(), render.Text{}) },
		"ladder-80.txt":  func(b *bytes.Buffer) error { return render.LadderText(b, climbed(), render.Text{Width: 80}) },
		"picture.txt":    func(b *bytes.Buffer) error { return render.LadderPicture(b, climbed(), render.Text{}) },
		"picture-60.txt": func(b *bytes.Buffer) error { return render.LadderPicture(b, climbed(), render.Text{Width: 60}) },
		"picture-colour.txt": func(b *bytes.Buffer) error {
			return render.LadderPicture(b, climbed(), render.Text{Style: render.Colour})
		},
	} {
		golden(t, name, bytesOf(t, write))
	}
}

func TestLadderTellsWhatEachRungAdds(t *testing.T) {
	text := string(bytesOf(t, func(b *bytes.Buffer) error { return render.LadderText(b, climbed(), render.Text{}) }))
	section := func(title string) string {
		_, s, ok := strings.Cut(text, "\n"+title)
		if !ok {
			t.Errorf("no section %q", title)
		}
		s, _, _ = strings.Cut(s, "\n\n")
		return s
	}
	for title, want := range map[string]string{
		"chroot adds 1\n": "fs.dotdot ",
		"limits adds ":    "pids.fork-bomb ",
		"hardened takes away 1 that limits held\n": "net.packet-sniff ",
		"limits: inconclusive for 1\n":             "cpu.burst ",
	} {
		if !strings.Contains(section(title), want) {
			t.Errorf("%q lacks %q", title, want)
		}
	}
	if strings.Contains(section("namespaces adds"), "pids.fork-bomb ") {
		t.Error("the fork bomb is stopped too early")
	}
}

func TestLadderKeepsItsWidth(t *testing.T) {
	for _, width := range []int{60, 72, 80, 100} {
		text := bytesOf(t, func(b *bytes.Buffer) error {
			if err := render.LadderText(b, climbed(), render.Text{Width: width}); err != nil {
				return err
			}
			return nil
		})
		for l := range strings.SplitSeq(string(text), "\n") {
			if n := displaywidth.String(l); n > max(width, 69) { // the table of numbers is what it is
				t.Errorf("%d columns of %d: %s", n, width, l)
			}
		}
	}
}

// TestLadderCountsKnownFailures: what the runtime's claims say gets through has got through.
func TestLadderCountsKnownFailures(t *testing.T) {
	r := climbed()
	r.Verdicts = r.Verdicts[:5] // of fs.dotdot, which the top rung holds
	top := &r.Verdicts[4]
	top.Outcome, top.Claimed, top.Exception = record.Breached, true, &record.Exception{Known: true, Reason: "CVE"}
	text := string(bytesOf(t, func(b *bytes.Buffer) error { return render.LadderText(b, r, render.Text{}) }))
	drawn := string(bytesOf(t, func(b *bytes.Buffer) error { return render.LadderSVG(b, r) }))
	if !strings.Contains(text, "0/1 (1)\nall ") || strings.Count(drawn, ">0 of 1 held, 1 breached<") != 2 || strings.Count(drawn, `class="breached" x="120"`) != 2 {
		t.Errorf("got\n%s\n%s", text, drawn)
	}
}
