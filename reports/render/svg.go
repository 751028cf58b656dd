package render

import (
	"bytes"
	"fmt"
	"io"
	"text/template"

	"cellwall/reports/record"
)

// LadderSVG draws a ladder as a heat map of guarantees by rungs, with a bar for each rung above
// it. It is one file without script, link or font, and readable on light and dark ground. Shape
// tells the outcomes apart as colour does, and each cell has a title for a pointer and a screen
// reader.
func LadderSVG(w io.Writer, r Report) error {
	l, err := record.Climb(r.Verdicts)
	if err != nil {
		return err
	}
	t, err := template.New("ladder").Funcs(template.FuncMap{"xml": EscapeXML}).Parse(ladderSVG)
	if err != nil {
		return fmt.Errorf("parse template: %w", err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, draw(r, &l)); err != nil {
		return fmt.Errorf("draw ladder: %w", err)
	}
	return flush(w, &b)
}

// Lengths in pixels of the drawing's own grid.
const (
	margin     = 32
	labelWidth = 202 // 30 letters of 11 pixel monospace
	cellWidth  = 58
	rowHeight  = 16
	groupGap   = 26 // above a group's first row, with its heading in it
	panelGap   = 44
	headHeight = 96
	barStep    = 20
	barWidth   = 176
	rungsAt    = 34  // from the end of the bars to the first rungs' names
	legendAt   = 568 // where the second panel of five rungs begins
	idLetters  = 30
	rowsPanel  = 64 // about what a panel holds before the next begins
)

type drawing struct {
	Width, Height   int
	Title, Subtitle string
	Summary         string
	Bars            []bar
	Legend          []legend
	Rungs           []label // above each panel
	Groups          []label
	Counts          []label
	IDs             []label
	Cells           []cell
}

type label struct {
	X, Y       int
	Text, Full string // Full: where Text is cut
}

type bar struct {
	Name, Words string
	Y           int
	Segments    []segment
	WordsX      int
}

type segment struct {
	Class    string
	X, Width int
}

type legend struct {
	X, Y        int
	Class, Name string
}

type cell struct {
	X, Y         int
	Class, Title string
}

// class names what a row shows at a rung in the drawing's style sheet.
func class(row *record.Row, rung int) string {
	v := row.Verdicts[rung]
	switch {
	case v == nil:
		return "none"
	case v.Outcome == record.Breached && rung > 0 && row.Verdicts[rung-1] != nil && row.Verdicts[rung-1].Outcome == record.Held:
		return "lost"
	case v.Outcome.Known():
		return string(v.Outcome)
	}
	return string(record.Inconclusive)
}

func draw(r Report, l *record.Ladder) drawing {
	panelWidth := labelWidth + len(l.Columns)*cellWidth
	panels := 1 + (len(l.Rows)-1)/rowsPanel
	if panels == 1 && len(l.Rows) > rowsPanel/2 {
		panels = 2
	}
	d := drawing{
		Width:    max(2*margin+panels*panelWidth+(panels-1)*panelGap, legendAt+312),
		Title:    "What each rung of the ladder holds",
		Subtitle: fmt.Sprintf("%s on %s", l.Runtime, r.host()),
	}
	if !r.Run.Time.IsZero() {
		d.Subtitle += ", " + r.Run.Time.UTC().Format("2 January 2006")
	}
	top := len(l.Columns) - 1
	d.Summary = fmt.Sprintf("%s. At %s: %s.", counted(len(l.Rows), "guarantee"), l.Columns[top], rungWords(l.At(top, "")))
	d.bars(l)
	y := max(headHeight+len(l.Columns)*barStep, headHeight+len(d.Legend)*barStep) + rungsAt
	d.Height = d.panels(l, panels, panelWidth, y) + margin
	return d
}

func rungWords(t record.Tally) string {
	s := fmt.Sprintf("%d of %d held, %d breached", t.Held, t.Total, t.Through())
	if rest := t.Unsupported + t.Inconclusive + t.Unproven; rest > 0 {
		s += fmt.Sprintf(", %d neither", rest)
	}
	return s
}

// bars draws a bar for each rung and the legend beside them.
func (d *drawing) bars(l *record.Ladder) {
	const nameWidth = 88
	x0 := margin + nameWidth
	for i, rung := range l.Columns {
		t := l.At(i, "")
		b := bar{Name: rung, Words: rungWords(t), Y: headHeight + i*barStep, WordsX: x0 + barWidth + 12}
		x := 0
		for _, part := range []struct {
			class string
			count int
		}{
			{class: "held", count: t.Held},
			{class: "breached", count: t.Through()},
			{class: "rest", count: t.Unsupported + t.Inconclusive + t.Unproven},
		} {
			if part.count > 0 {
				width := max(barWidth*part.count/len(l.Rows), 1)
				b.Segments = append(b.Segments, segment{Class: part.class, X: x0 + x, Width: width})
				x += width
			}
		}
		d.Bars = append(d.Bars, b)
	}
	words := map[string]string{
		"held": "held", "breached": "breached: the attack got through", "lost": "breached, held one rung below",
		"unsupported":  "unsupported by this kernel or host",
		"inconclusive": "inconclusive", "unproven": "unproven here: no control was run", "none": "not tried",
	}
	seen := map[string]bool{}
	for _, row := range l.Rows {
		for i := range row.Verdicts {
			seen[class(&row, i)] = true
		}
	}
	x := legendAt
	for _, name := range []string{"held", "breached", "lost", "unsupported", "inconclusive", "unproven", "none"} {
		if seen[name] {
			d.Legend = append(d.Legend, legend{X: x, Y: headHeight + len(d.Legend)*barStep, Class: name, Name: words[name]})
		}
	}
}

// panels draws the heat map, in columns of whole groups, from y down. It returns its lower end.
func (d *drawing) panels(l *record.Ladder, panels, panelWidth, y0 int) int {
	share := (len(l.Rows)*rowHeight + len(l.Groups)*groupGap) / panels
	lowest, panel, y := y0, -1, 0
	for _, group := range l.Groups {
		rows := rowsOf(l, group)
		height := groupGap + len(rows)*rowHeight
		if panel < 0 || panel < panels-1 && y-y0+height/2 > share {
			panel++
			y = y0
			for i, rung := range l.Columns {
				d.Rungs = append(d.Rungs, label{X: columnX(panel, panelWidth, i) + cellWidth/2, Y: y0 - 4, Text: rung})
			}
		}
		y += groupGap
		x := margin + panel*(panelWidth+panelGap)
		d.Groups = append(d.Groups, label{X: x, Y: y - 6, Text: group})
		for i := range l.Columns {
			if t := l.At(i, group); t.Total > 0 {
				d.Counts = append(d.Counts, label{X: columnX(panel, panelWidth, i) + cellWidth/2, Y: y - 6, Text: fmt.Sprintf("%d/%d", t.Held, t.Total)})
			}
		}
		for _, row := range rows {
			d.IDs = append(d.IDs, label{X: x, Y: y + 11, Text: record.Clean(row.Guarantee, idLetters), Full: row.Guarantee + ": " + row.Claim})
			for i, v := range row.Verdicts {
				d.Cells = append(d.Cells, cell{X: columnX(panel, panelWidth, i) + 1, Y: y, Class: class(&row, i), Title: cellTitle(&row, l.Columns[i], v)})
			}
			y += rowHeight
		}
		lowest = max(lowest, y)
	}
	return lowest
}

func rowsOf(l *record.Ladder, group string) []record.Row {
	var rows []record.Row
	for _, row := range l.Rows {
		if row.Group == group {
			rows = append(rows, row)
		}
	}
	return rows
}

func columnX(panel, panelWidth, rung int) int {
	return margin + panel*(panelWidth+panelGap) + labelWidth + rung*cellWidth
}

func cellTitle(row *record.Row, rung string, v *record.Verdict) string {
	if v == nil {
		return row.Guarantee + " at " + rung + ": not tried"
	}
	s := fmt.Sprintf("%s at %s: %s", row.Guarantee, rung, v.Outcome)
	if by := denied(v.DeniedBy, v.Errno); by != "" {
		s += ", denied by " + by
	}
	if v.Reason != "" {
		s += ", " + v.Reason
	}
	return s
}
