package record

import (
	"fmt"
	"slices"
)

// Grid is verdicts by guarantee and column: the rungs of a ladder, or the kernels of a matrix.
type Grid struct {
	Columns []string
	Groups  []string // in the order of the verdicts
	Rows    []Row    // one a guarantee, group by group
}

// Row is one guarantee in every column of a grid.
type Row struct {
	Guarantee string
	Group     string
	Claim     string
	Verdicts  []*Verdict // one a column; nil where it was not tried
}

// gridOf sorts verdicts into columns, each into that which column names. Two for one guarantee and
// column are an error.
func gridOf(columns []string, verdicts []Verdict, column func(*Verdict) string) (Grid, error) {
	g := Grid{Columns: columns}
	for _, group := range Split(verdicts, func(v *Verdict) string { return v.Group }) {
		g.Groups = append(g.Groups, group.Name)
		for _, part := range Split(group.Verdicts, func(v *Verdict) string { return v.Guarantee }) {
			row := Row{Guarantee: part.Name, Group: group.Name, Claim: part.Verdicts[0].Claim}
			row.Verdicts = make([]*Verdict, len(columns))
			for i := range part.Verdicts {
				v := &part.Verdicts[i]
				at := slices.Index(columns, column(v))
				if row.Verdicts[at] != nil {
					return Grid{}, fmt.Errorf("two verdicts on %q at %q", v.Guarantee, columns[at])
				}
				row.Verdicts[at] = v
			}
			g.Rows = append(g.Rows, row)
		}
	}
	return g, nil
}

// At counts the verdicts of a column, given by its index, of one group, or of all for "".
func (g *Grid) At(column int, group string) Tally {
	var t Tally
	for _, row := range g.Rows {
		if v := row.Verdicts[column]; v != nil && (group == "" || row.Group == group) {
			t.Add(v)
		}
	}
	return t
}

// Added returns what a column adds: held there, breached in the one before. The first column adds
// nothing, since nothing is before it.
func (g *Grid) Added(column int) []Row { return g.turned(column, Breached, Held) }

// Lost returns what a column takes away: breached there, held in the one before. On a ladder it ought
// to be empty.
func (g *Grid) Lost(column int) []Row { return g.turned(column, Held, Breached) }

// With returns the rows with an outcome in a column.
func (g *Grid) With(column int, o Outcome) []Row {
	var rows []Row
	for _, row := range g.Rows {
		if row.is(column, o) {
			rows = append(rows, row)
		}
	}
	return rows
}

func (g *Grid) turned(column int, from, to Outcome) []Row {
	var rows []Row
	for _, row := range g.Rows {
		if column > 0 && row.is(column-1, from) && row.is(column, to) {
			rows = append(rows, row)
		}
	}
	return rows
}

func (r *Row) is(column int, o Outcome) bool {
	return r.Verdicts[column] != nil && r.Verdicts[column].Outcome == o
}
