package render

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"text/template"
	"time"

	"cellwall/reports/record"
)

// Timeline is what happened when: lanes of spans over one stretch of time.
type Timeline struct {
	Title, Subtitle string
	Begin, End      time.Time
	Lanes           []Lane
}

// Lane is one line of a Timeline, such as a cgroup and what was seen of it.
type Lane struct {
	Name  string
	Kind  string // what is counted, such as "throttled"
	Spans []Span
}

// Span is one thing in a lane. A span without length is a moment, drawn as a stroke.
type Span struct {
	At     time.Time
	Length time.Duration
	Title  string
}

const (
	timelineWidth = 1000
	timelineAt    = 380 // where time begins
	timelineHead  = 96
	laneHeight    = 26
	spanLeast     = 1.5 // pixels: what is shorter is drawn so wide
	timelineTicks = 5
)

type timelineDrawing struct {
	Width, Height   int
	Title, Subtitle string
	Foot            int
	Ticks           []label
	Lanes           []laneDrawing
}

type laneDrawing struct {
	Y, TextY    int
	Name, Words string
	Full        string
	Spans       []spanDrawing
}

type spanDrawing struct {
	X, Width string // pixels, with a fraction
	Title    string
	Moment   bool
}

// TimelineSVG draws a timeline. Like LadderSVG's it is one file without script, link or font.
func TimelineSVG(w io.Writer, t Timeline) error {
	if !t.End.After(t.Begin) {
		return fmt.Errorf("draw timeline: it ends at %v and begins at %v", t.End, t.Begin)
	}
	tmpl, err := template.New("timeline").Funcs(template.FuncMap{"xml": EscapeXML}).Parse(timelineSVG)
	if err != nil {
		return fmt.Errorf("parse template: %w", err)
	}
	var b bytes.Buffer
	if err := tmpl.Execute(&b, t.draw()); err != nil {
		return fmt.Errorf("draw timeline: %w", err)
	}
	return flush(w, &b)
}

func (t *Timeline) draw() timelineDrawing {
	d := timelineDrawing{
		Width: timelineWidth, Height: timelineHead + len(t.Lanes)*laneHeight + margin,
		Title: t.Title, Subtitle: t.Subtitle, Foot: timelineHead + len(t.Lanes)*laneHeight,
	}
	const wide = timelineWidth - timelineAt - margin
	all := t.End.Sub(t.Begin)
	for i := range 1 + all/tickOf(all) {
		at := i * tickOf(all)
		d.Ticks = append(d.Ticks, label{
			X: timelineAt + int(wide*float64(at)/float64(all)), Y: timelineHead - 10, Text: strconv.FormatFloat(at.Seconds(), 'f', -1, 64) + " s",
		})
	}
	for i, lane := range t.Lanes {
		y := timelineHead + i*laneHeight
		l := laneDrawing{Y: y, TextY: y + 11, Name: tailOf(lane.Name, idLetters), Full: lane.Name}
		var sum time.Duration
		for _, s := range lane.Spans {
			// What began before the picture, or goes on after it, is shown as far as it is in it.
			from, to := max(s.At.Sub(t.Begin), 0), min(s.At.Add(s.Length).Sub(t.Begin), all)
			if from > all || to < 0 {
				continue
			}
			x, width := wide*float64(from)/float64(all), max(wide*float64(to-from)/float64(all), spanLeast)
			l.Spans = append(l.Spans, spanDrawing{
				X: fmt.Sprintf("%.2f", timelineAt+x), Width: fmt.Sprintf("%.2f", width), Title: s.Title, Moment: s.Length == 0,
			})
			sum += s.Length
		}
		l.Words = fmt.Sprintf("%s %d", lane.Kind, len(l.Spans))
		if sum > 0 {
			l.Words += ", " + amount(sum.Seconds(), record.Seconds)
		}
		d.Lanes = append(d.Lanes, l)
	}
	return d
}

// tickOf is a round time, 1, 2 or 5 of some power of ten, of which timelineTicks at most are in all.
func tickOf(all time.Duration) time.Duration {
	for step := time.Duration(1); ; step *= 10 {
		for _, round := range []time.Duration{1, 2, 5} {
			if all/(step*round) <= timelineTicks {
				return step * round
			}
		}
	}
}

// tailOf keeps the end of a path, which says more than its beginning.
func tailOf(s string, letters int) string {
	r := []rune(s)
	if len(r) <= letters {
		return s
	}
	return "…" + string(r[len(r)-letters+1:])
}

// timelineSVG is the frame of a timeline, in the colours of ladderSVG.
const timelineSVG = `<svg xmlns="http://www.w3.org/2000/svg" width="{{.Width}}" height="{{.Height}}" viewBox="0 0 {{.Width}} {{.Height}}" role="img" aria-labelledby="title">
<title id="title">{{xml .Title}}: {{xml .Subtitle}}</title>
<style>
text { font-family: system-ui, "Segoe UI", "Helvetica Neue", "DejaVu Sans", sans-serif; font-size: 12px; fill: #1c2530; }
.ground { fill: #ffffff; }
.h1 { font-size: 22px; font-weight: 600; }
.soft { fill: #55606e; font-size: 11px; }
.tick { text-anchor: middle; }
.name { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: 11px; }
.lane { fill: #eef1f4; }
.span { fill: #0b63a8; }
.moment { fill: #d1590a; }
.line { stroke: #c9d0d8; stroke-width: 1; }
@media (prefers-color-scheme: dark) {
text { fill: #e4e9ef; }
.ground { fill: #12171d; }
.soft { fill: #9aa6b4; }
.lane { fill: #252d36; }
.span { fill: #4ea3e6; }
.moment { fill: #ff9d5c; }
.line { stroke: #4a5561; }
}
</style>
<rect class="ground" width="100%" height="100%"/>
<text class="h1" x="32" y="40">{{xml .Title}}</text>
<text class="soft" x="32" y="62">{{xml .Subtitle}}</text>
{{$foot := .Foot}}{{range .Ticks}}<line class="line" x1="{{.X}}" x2="{{.X}}" y1="{{.Y}}" y2="{{$foot}}"/><text class="soft tick" x="{{.X}}" y="{{.Y}}" dy="-4">{{xml .Text}}</text>
{{end}}{{range .Lanes}}{{$y := .Y}}<g><title>{{xml .Full}}: {{xml .Words}}</title><text class="name" x="32" y="{{.TextY}}">{{xml .Name}}</text><text class="soft" x="372" y="{{.TextY}}" text-anchor="end">{{xml .Words}}</text><rect class="lane" x="380" y="{{.Y}}" width="588" height="14"/></g>
{{range .Spans}}<rect class="{{if .Moment}}moment{{else}}span{{end}}" x="{{.X}}" y="{{$y}}" width="{{.Width}}" height="14"><title>{{xml .Title}}</title></rect>
{{end}}{{end}}</svg>
`
