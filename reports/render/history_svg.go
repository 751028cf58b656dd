package render

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/template"

	"cellwall/reports/history"
	"cellwall/reports/record"
)

// Lengths in pixels of a chart of a series.
const (
	chartWidth  = 1000
	chartHead   = 96
	chartStep   = 96 // from one series to the next
	chartHeight = 56
	chartAt     = 300 // where the oldest run is drawn
	chartEnd    = chartWidth - margin - 70
)

type historyDrawing struct {
	Width, Height   int
	Title, Subtitle string
	Note            string
	Charts          []chart
}

// chart is a series: its text, its line, and where it changes.
type chart struct {
	Y, Low           int // the upper and the lower edge
	Full             string
	Name, On, Host   string // cut
	Newest, Range    string
	Most, Least      string // what the edges stand for
	Oldest, Youngest string // dates
	Line             string // points of a polyline
	One              bool   // only one run: a line of one point is not drawn
	OneX, OneY       string
	Marks            []mark
}

type mark struct{ X, Title, Class string }

// ShowSVG draws a chart for each series, with its changes. Like LadderSVG's it is one file without script, link
// or font.
func ShowSVG(w io.Writer, h History) error {
	if len(h.Series) == 0 {
		return errNoSeries
	}
	t, err := template.New("history").Funcs(template.FuncMap{"xml": EscapeXML}).Parse(historySVG)
	if err != nil {
		return fmt.Errorf("parse template: %w", err)
	}
	d := historyDrawing{
		Width: chartWidth, Height: chartHead + len(h.Series)*chartStep + margin, Title: "History of benchmarks",
		Subtitle: fmt.Sprintf("%s: %s, the newest %d of each series. The line is the median over that of the control in its run, where that is in the same unit.", record.Clean(h.Dir, idLetters), counted(h.Runs, "run"), history.LookBack),
		Note:     "Where its level changes is a stroke: a solid one for the worse, a dashed one for the better.",
	}
	for i, s := range h.Series {
		d.Charts = append(d.Charts, h.chart(s, chartHead+i*chartStep))
	}
	var b bytes.Buffer
	if err := t.Execute(&b, d); err != nil {
		return fmt.Errorf("draw history: %w", err)
	}
	return flush(w, &b)
}

// chart draws a series from y down.
func (h History) chart(s *history.Series, y int) chart {
	points := shown(s)
	first := len(s.Points) - len(points)
	logs := make([]float64, len(points))
	for i, p := range points {
		logs[i] = p.Log
	}
	low, high := slices.Min(logs), slices.Max(logs)
	last := points[len(points)-1]
	c := chart{
		Y: y, Low: y + chartHeight, Full: seriesWords(s), Name: record.Clean(s.Benchmark, idLetters), On: record.Clean(s.Runtime+" at "+s.Rung, idLetters), Host: record.Clean(s.Host, idLetters), Newest: amount(last.Median, s.Unit),
		Most: digits(math.Exp(high)), Least: digits(math.Exp(low)), Oldest: points[0].Run.Time.UTC().Format(day), Youngest: last.Run.Time.UTC().Format(day),
	}
	x := func(i int) float64 {
		return chartAt + float64(chartEnd-chartAt)*float64(i)/float64(max(len(points)-1, 1))
	}
	height := func(v float64) float64 {
		if high == low {
			return float64(y) + chartHeight/2
		}
		return float64(y) + chartHeight*(high-v)/(high-low)
	}
	var line strings.Builder
	for i, v := range logs {
		fmt.Fprintf(&line, "%.1f,%.1f ", x(i), height(v))
	}
	c.Line = strings.TrimSpace(line.String())
	if c.One = len(points) == 1; c.One {
		c.OneX, c.OneY = fmt.Sprintf("%.1f", x(0)), fmt.Sprintf("%.1f", height(logs[0]))
	}
	for _, change := range h.of(s) {
		if change.At < first {
			continue
		}
		c.Marks = append(c.Marks, mark{
			X: fmt.Sprintf("%.1f", x(change.At-first)), Title: strings.Join(changeWords(change), "; "),
			Class: map[bool]string{true: "worse", false: "better"}[change.Worse()],
		})
	}
	return c
}

// historySVG is the frame of a history's charts, in the colours of ladderSVG.
const historySVG = `<svg xmlns="http://www.w3.org/2000/svg" width="{{.Width}}" height="{{.Height}}" viewBox="0 0 {{.Width}} {{.Height}}" role="img" aria-labelledby="title">
<title id="title">{{xml .Title}}: {{xml .Subtitle}}</title>
<style>
text { font-family: system-ui, "Segoe UI", "Helvetica Neue", "DejaVu Sans", sans-serif; font-size: 12px; fill: #1c2530; }
.ground { fill: #ffffff; }
.h1 { font-size: 22px; font-weight: 600; }
.soft { fill: #55606e; font-size: 11px; }
.name { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; font-weight: 600; }
.chart { fill: #eef1f4; }
.line { fill: none; stroke: #0b63a8; stroke-width: 1.2; stroke-linejoin: round; }
.dot { fill: #0b63a8; }
.worse { stroke: #d1590a; stroke-width: 2; }
.better { stroke: #55606e; stroke-width: 2; stroke-dasharray: 4 3; }
@media (prefers-color-scheme: dark) {
text { fill: #e4e9ef; }
.ground { fill: #12171d; }
.soft { fill: #9aa6b4; }
.chart { fill: #252d36; }
.line { stroke: #4ea3e6; }
.dot { fill: #4ea3e6; }
.worse { stroke: #ff9d5c; }
.better { stroke: #9aa6b4; }
}
</style>
<rect class="ground" width="100%" height="100%"/>
<text class="h1" x="32" y="40">{{xml .Title}}</text>
<text class="soft" x="32" y="62">{{xml .Subtitle}}</text>
<text class="soft" x="32" y="78">{{xml .Note}}</text>
{{range .Charts}}{{$y := .Y}}{{$low := .Low}}<g><title>{{xml .Full}}: newest {{xml .Newest}}</title><text class="name" x="32" y="{{.Y}}" dy="12">{{xml .Name}}</text>
<text class="soft" x="32" y="{{.Y}}" dy="29">{{xml .On}}, newest {{xml .Newest}}</text><text class="soft" x="32" y="{{.Y}}" dy="45">{{xml .Host}}</text>
<rect class="chart" x="292" y="{{.Y}}" width="614" height="56"/><text class="soft" x="912" y="{{.Y}}" dy="10">{{.Most}}</text><text class="soft" x="912" y="{{.Low}}">{{.Least}}</text>
<text class="soft" x="292" y="{{.Low}}" dy="14">{{.Oldest}}</text><text class="soft" x="906" y="{{.Low}}" dy="14" text-anchor="end">{{.Youngest}}</text>
{{if .One}}<circle class="dot" cx="{{.OneX}}" cy="{{.OneY}}" r="2.5"/>{{else}}<polyline class="line" points="{{.Line}}"/>{{end}}</g>
{{range .Marks}}<line class="{{.Class}}" x1="{{.X}}" x2="{{.X}}" y1="{{$y}}" y2="{{$low}}"><title>{{xml .Title}}</title></line>
{{end}}{{end}}</svg>
`
