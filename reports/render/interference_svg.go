package render

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"text/template"

	"cellwall/reports/digest"
	"cellwall/reports/record"
)

// Lengths in pixels of the drawing's own grid.
const (
	heatLabel  = 84 // for a victim's name
	heatWidth  = 82
	heatHeight = 34
	heatStep   = 38
	heatHead   = 132 // above the first panel
	heatPanel  = 58  // above a panel's first row: its setting, the resources and the antagonists
	heatGap    = 30
	heatLeast  = 800 // the width for the title and the legend
	heatName   = 11  // letters of a name that fit
)

// heatDrawing is the matrices as a picture.
type heatDrawing struct {
	Width, Height   int
	Title, Subtitle string
	Note            string
	Legend          []legend
	Panels          []heatPanelDrawing
}

type heatPanelDrawing struct {
	X, Y      int
	Title     string
	Resources []label
	Columns   []label
	Rows      []label
	Cells     []heatCell
}

// heatCell is one cell: its ratio, and in a smaller line what it comes of.
type heatCell struct {
	X, Y        int
	Class       string
	Text, Cause string
	Title       string
}

// InterferenceSVG draws a heat map for each setting: victims by antagonists, with the ratio of a quantile in
// each cell. Like LadderSVG's it is one file without script, link or font, a mark beside the colour tells the
// feelings apart, and each cell has a title with intervals and causes.
func InterferenceSVG(w io.Writer, r Interference) error {
	if len(r.Cells) == 0 {
		return errNoInterference
	}
	t, err := template.New("interference").Funcs(template.FuncMap{"xml": EscapeXML}).Parse(interferenceSVG)
	if err != nil {
		return fmt.Errorf("parse template: %w", err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, r.draw()); err != nil {
		return fmt.Errorf("draw interference: %w", err)
	}
	return flush(w, &b)
}

func (r Interference) draw() heatDrawing {
	d := heatDrawing{
		Title: "What a container feels of its neighbour", Subtitle: r.host(),
		Note: fmt.Sprintf("%s of the victim's latency beside the antagonist, as a multiple of that alone", shownQuantile),
	}
	if len(r.Runs) > 0 && !r.Runs[0].Time.IsZero() {
		d.Subtitle += ", " + r.Runs[0].Time.UTC().Format("2 January 2006")
	}
	for _, l := range []struct {
		at           int
		class, words string
	}{
		{0, string(digest.Hurt), fmt.Sprintf("× hurt: more than %g times", digest.HurtFrom)},
		{200, string(digest.Held), fmt.Sprintf("█ held: less than %g", digest.HeldBelow)},
		{364, string(digest.Between), "○ between, or too noisy to tell"},
		{592, string(digest.Unknown), "- not measured"},
	} {
		d.Legend = append(d.Legend, legend{X: margin + l.at, Y: heatHead - 34, Class: l.class, Name: l.words})
	}
	columns, y := 0, heatHead
	for _, m := range r.matrices() {
		d.Panels = append(d.Panels, m.draw(y))
		columns = max(columns, len(m.antagonists))
		y += heatPanel + len(m.victims)*heatStep + heatGap
	}
	d.Width = max(2*margin+heatLabel+columns*heatWidth, heatLeast)
	d.Height = y - heatGap + margin
	return d
}

func (m *interferenceMatrix) draw(y int) heatPanelDrawing {
	p := heatPanelDrawing{X: margin, Y: y + 14, Title: m.setting}
	p.Resources = []label{{X: margin, Y: y + heatPanel - 24, Text: "antagonist →"}, {X: margin, Y: y + heatPanel - 8, Text: "victim ↓"}}
	last := ""
	for i, a := range m.antagonists {
		x := margin + heatLabel + i*heatWidth
		p.Columns = append(p.Columns, label{X: x + heatWidth/2, Y: y + heatPanel - 8, Text: record.Clean(a, heatName), Full: a})
		if resource := m.resourceOf(a); resource != last {
			last = resource
			p.Resources = append(p.Resources, label{X: x + 2, Y: y + heatPanel - 24, Text: record.Clean(resource, heatName)})
		}
	}
	for k, v := range m.victims {
		top := y + heatPanel + k*heatStep
		p.Rows = append(p.Rows, label{X: margin, Y: top + heatHeight/2 + 4, Text: record.Clean(v, heatName), Full: v})
		for i, a := range m.antagonists {
			c := m.cells[[2]string{v, a}]
			if c == nil {
				continue
			}
			f := c.Feeling(shownQuantile)
			mark, _ := feelingMark(f)
			h := heatCell{X: margin + heatLabel + i*heatWidth + 1, Y: top, Class: string(f), Text: ratioWords(c), Title: heatTitle(c)}
			if h.Text != "-" {
				h.Text += " " + mark
			}
			if f == digest.Hurt || f == digest.Between {
				h.Cause = mainCause(c)
			}
			p.Cells = append(p.Cells, h)
		}
	}
	return p
}

func (m *interferenceMatrix) resourceOf(antagonist string) string {
	for _, v := range m.victims {
		if c := m.cells[[2]string{v, antagonist}]; c != nil {
			return c.Resource
		}
	}
	return ""
}

// mainCause names what has grown most for the victim, in a word; empty where no probe saw anything grow.
func mainCause(c *digest.Cell) string {
	beside, alone := c.BesideCauses, c.AloneCauses
	switch {
	case beside.RefusedForks > alone.RefusedForks:
		return "forks refused"
	case beside.OOMKills > alone.OOMKills:
		return "killed"
	}
	const least = 0.01 // seconds that are worth a word
	most, name := least, ""
	for _, s := range []struct {
		name          string
		beside, alone record.Stall
	}{
		{"throttled", beside.Throttled, alone.Throttled},
		{"waits for CPU", beside.Waited, alone.Waited},
		{"frees memory", beside.Reclaimed, alone.Reclaimed},
	} {
		if grown := s.beside.Seconds - s.alone.Seconds; grown > most {
			most, name = grown, s.name
		}
	}
	return name
}

func heatTitle(c *digest.Cell) string {
	s := fmt.Sprintf("%s beside %s at %s", c.Victim, c.Antagonist, c.Setting)
	if c.Unsupported != "" {
		return s + ": unsupported: " + strings.TrimPrefix(c.Unsupported, "not supported: ")
	}
	var list []string
	for i := range c.Quantiles {
		list = append(list, quantileWords(&c.Quantiles[i]))
	}
	return s + ": " + strings.Join(append(list, causeWords(c)...), "; ")
}

// interferenceSVG is the frame of InterferenceSVG's drawing, in the colours of ladderSVG.
const interferenceSVG = `<svg xmlns="http://www.w3.org/2000/svg" width="{{.Width}}" height="{{.Height}}" viewBox="0 0 {{.Width}} {{.Height}}" role="img" aria-labelledby="title desc">
<title id="title">{{xml .Title}}: {{xml .Subtitle}}</title>
<desc id="desc">{{xml .Note}}. A panel for each setting, with a row for each victim and a column for each antagonist.</desc>
<style>
text { font-family: system-ui, "Segoe UI", "Helvetica Neue", "DejaVu Sans", sans-serif; font-size: 12px; fill: #1c2530; }
.ground { fill: #ffffff; }
.h1 { font-size: 22px; font-weight: 600; }
.soft { fill: #55606e; }
.setting { font-size: 14px; font-weight: 600; }
.resource { font-size: 10px; fill: #55606e; }
.column, .number, .cause { text-anchor: middle; }
.number { font-size: 13px; font-weight: 600; }
.cause { font-size: 9.5px; }
.held { fill: #0b63a8; }
.hurt { fill: #f0a35e; }
.between { fill: #e4e9ee; }
.unknown { fill: none; stroke: #c9d0d8; stroke-dasharray: 3 3; }
.on-held { fill: #ffffff; }
@media (prefers-color-scheme: dark) {
text { fill: #e4e9ef; }
.ground { fill: #12171d; }
.soft, .resource { fill: #9aa6b4; }
.held { fill: #4ea3e6; }
.hurt { fill: #9e4a12; }
.between { fill: #2c3641; }
.unknown { stroke: #4a5561; }
.on-held { fill: #12171d; }
}
</style>
<rect class="ground" width="100%" height="100%"/>
<text class="h1" x="32" y="46">{{xml .Title}}</text>
<text class="soft" x="32" y="68">{{xml .Subtitle}}</text>
<text class="soft" x="32" y="86">{{xml .Note}}</text>
{{range .Legend}}<g><rect class="{{.Class}}" x="{{.X}}" y="{{.Y}}" width="14" height="14" rx="2"/><text class="soft" x="{{.X}}" y="{{.Y}}" dx="20" dy="11">{{xml .Name}}</text></g>
{{end}}{{range .Panels}}<text class="setting" x="{{.X}}" y="{{.Y}}">{{xml .Title}}</text>
{{range .Resources}}<text class="resource" x="{{.X}}" y="{{.Y}}">{{xml .Text}}</text>
{{end}}{{range .Columns}}<text class="column" x="{{.X}}" y="{{.Y}}">{{xml .Text}}<title>{{xml .Full}}</title></text>
{{end}}{{range .Rows}}<text x="{{.X}}" y="{{.Y}}">{{xml .Text}}<title>{{xml .Full}}</title></text>
{{end}}{{range .Cells}}<g><title>{{xml .Title}}</title><rect class="{{.Class}}" x="{{.X}}" y="{{.Y}}" width="80" height="34" rx="2"/><text class="number on-{{.Class}}" x="{{.X}}" y="{{.Y}}" dx="40" dy="{{if .Cause}}15{{else}}21{{end}}">{{xml .Text}}</text>
{{- if .Cause}}<text class="cause on-{{.Class}}" x="{{.X}}" y="{{.Y}}" dx="40" dy="28">{{xml .Cause}}</text>{{end}}</g>
{{end}}{{end}}</svg>
`
