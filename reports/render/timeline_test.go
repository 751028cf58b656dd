package render_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"cellwall/reports/render"
)

func TestTimelineSVG(t *testing.T) {
	begin := time.Date(2026, 11, 27, 1, 2, 3, 0, time.UTC)
	line := render.Timeline{
		Title: "What the probes saw", Subtitle: "x < y", Begin: begin, End: begin.Add(10 * time.Second),
		Lanes: []render.Lane{
			{Name: "/kubepods.slice/kubepods-burstable.slice/pod-with-a-long-name", Kind: "throttled", Spans: []render.Span{
				{At: begin.Add(-time.Second), Length: 2 * time.Second, Title: "before"},
				{At: begin.Add(5 * time.Second), Length: time.Second, Title: "in it & whole"},
				{At: begin.Add(9 * time.Second), Length: 5 * time.Second, Title: "beyond"},
				{At: begin.Add(30 * time.Second), Length: time.Second, Title: "after it all"},
			}},
			{Name: "/", Kind: "oom-kill", Spans: []render.Span{{At: begin.Add(time.Second), Title: "a moment"}}},
		},
	}
	var b bytes.Buffer
	if err := render.TimelineSVG(&b, line); err != nil {
		t.Fatal(err)
	}
	for d := xml.NewDecoder(bytes.NewReader(b.Bytes())); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	got := b.String()
	for _, want := range []string{
		`x="380.00" y="96" width="58.80"`, // a tenth of the picture, from its beginning
		`x="674.00" y="96" width="58.80"`, // in the middle
		`x="909.20" y="96" width="58.80"`, // to its end
		"in it &amp; whole", "x &lt; y", "…", `class="moment"`, "oom-kill 1", "throttled 3, 8.00 s",
		">0 s<", ">2 s<", ">10 s<",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "after it all") {
		t.Error("what lies outside is drawn")
	}
	line.End = begin
	if err := render.TimelineSVG(&b, line); err == nil {
		t.Error("a timeline without length was drawn")
	}
}

// TestTimelineTicks: round times, also of an hour, and of what ends between two of them.
func TestTimelineTicks(t *testing.T) {
	begin := time.Date(2026, 11, 27, 1, 2, 3, 0, time.UTC)
	for _, c := range []struct {
		length time.Duration
		want   []string
	}{
		{1393 * time.Millisecond, []string{"0 s", "0.5 s", "1 s"}},
		{time.Hour, []string{"0 s", "1000 s", "2000 s", "3000 s"}},
		{time.Nanosecond, []string{"0 s", "0.000000001 s"}},
		{1 << 62, []string{"0 s", "1000000000 s", "2000000000 s", "3000000000 s", "4000000000 s"}},
	} {
		var b bytes.Buffer
		if err := render.TimelineSVG(&b, render.Timeline{Begin: begin, End: begin.Add(c.length)}); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, m := range regexp.MustCompile(`class="soft tick"[^>]*>([^<]*)<`).FindAllStringSubmatch(b.String(), -1) {
			got = append(got, m[1])
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%v: %q, want %q", c.length, got, c.want)
		}
	}
}
