package record

import (
	"errors"
	"fmt"
	"slices"
)

// Matrix is what the kernel matrix has found, all shards together.
type Matrix struct {
	Of     int    // cells that it has; with fewer in Cells a shard is missing
	Cells  []Cell // by their places
	Tables []Table
}

// Table is the cells of one runtime and cgroup mode. Its columns are the names of the kernels.
type Table struct {
	Runtime string
	Cgroup  string
	Cells   []Cell // one a column
	Grid
}

// IsMatrix reports whether a set is of the kernel matrix.
func (s *Set) IsMatrix() bool { return len(s.Cells) > 0 }

// Merge puts the shards of one matrix together, each the records of one file. Nothing in the answer
// depends on their order or number. What no matrix can be made of is an error: no cell, shards of
// different matrices, a cell in two shards, verdicts of no cell, a cell that ended without all of its
// verdicts.
func Merge(shards ...Set) (Matrix, error) {
	var m Matrix
	var runs []Run
	verdicts := map[string][]Verdict{}
	for i := range shards {
		s := &shards[i]
		cells, err := s.lastCells()
		if err != nil {
			return Matrix{}, err
		}
		if m.Of == 0 {
			m.Of = cells[0].Of
		}
		m.Cells = append(m.Cells, cells...)
		runs = append(runs, s.Runs...)
		for k := range s.Verdicts {
			verdicts[s.Verdicts[k].Run] = append(verdicts[s.Verdicts[k].Run], s.Verdicts[k])
		}
	}
	slices.SortStableFunc(m.Cells, func(a, b Cell) int { return a.Place - b.Place })
	if err := m.checkCells(); err != nil {
		return Matrix{}, err
	}
	if err := m.checkRuns(runs, verdicts); err != nil {
		return Matrix{}, err
	}
	if err := m.tables(verdicts); err != nil {
		return Matrix{}, err
	}
	return m, nil
}

// lastCells returns the last record of each place.
func (s *Set) lastCells() ([]Cell, error) {
	var cells []Cell
	for _, c := range s.Cells {
		at := slices.IndexFunc(cells, func(other Cell) bool { return other.Place == c.Place })
		switch {
		case at < 0:
			cells = append(cells, c)
		case cells[at].String() != c.String():
			return nil, fmt.Errorf("place %d is %s and %s", c.Place, &cells[at], &c)
		default:
			cells[at] = c
		}
	}
	if len(cells) == 0 {
		return nil, errors.New("it holds no cell: it is not of cellwall matrix")
	}
	return cells, nil
}

// checkCells looks whether sorted cells can be of one matrix.
func (m *Matrix) checkCells() error {
	seen := map[string]bool{}
	for i := range m.Cells {
		c := &m.Cells[i]
		switch {
		case c.Of != m.Of:
			return fmt.Errorf("these are no shards of one matrix: one has %d cells, another %d", m.Of, c.Of)
		case i > 0 && c.Place == m.Cells[i-1].Place && c.String() == m.Cells[i-1].String():
			return fmt.Errorf("%s is in two of the files", c)
		case i > 0 && c.Place == m.Cells[i-1].Place:
			return fmt.Errorf("these are no shards of one matrix: place %d is %s in one and %s in another", c.Place, &m.Cells[i-1], c)
		case seen[c.String()]:
			return fmt.Errorf("%s is there at two places", c)
		}
		seen[c.String()] = true
	}
	return nil
}

// checkRuns looks whether every run is a cell's and no verdict is lost.
func (m *Matrix) checkRuns(runs []Run, verdicts map[string][]Verdict) error {
	described := map[string]bool{}
	for i := range runs {
		r := &runs[i]
		at := slices.IndexFunc(m.Cells, func(c Cell) bool { return c.Run == r.ID })
		switch {
		case at < 0 || r.ID == "":
			return fmt.Errorf("run %.40q is of no cell", r.ID)
		case described[r.ID]:
			return fmt.Errorf("run %.40q is there twice", r.ID)
		case !slices.Equal(r.Selection, runs[0].Selection):
			return fmt.Errorf("these are no shards of one matrix: run %.40q tried %q, run %.40q %q", runs[0].ID, runs[0].Selection, r.ID, r.Selection)
		case m.Cells[at].Outcome == CellBooted && len(verdicts[r.ID]) != r.Asked:
			return fmt.Errorf("%s gave %d verdicts, and %d are there", &m.Cells[at], r.Asked, len(verdicts[r.ID]))
		}
		described[r.ID] = true
	}
	for id, list := range verdicts {
		if !described[id] {
			return fmt.Errorf("no record describes run %.40q", id)
		}
		for i := range list {
			of := func(c Cell) bool { return c.Run == id && c.Runtime == list[i].Runtime }
			if !slices.ContainsFunc(m.Cells, of) {
				return fmt.Errorf("the verdict of run %.40q on %.40q by %.40q is of no cell", id, list[i].Guarantee, list[i].Runtime)
			}
		}
	}
	for i := range m.Cells {
		if c := &m.Cells[i]; c.Outcome == CellBooted && !described[c.Run] {
			return fmt.Errorf("%s: no record describes its run %.40q", c, c.Run)
		}
	}
	return nil
}

// tables sorts cells and verdicts into tables, in the order of the cells.
func (m *Matrix) tables(verdicts map[string][]Verdict) error {
	for _, c := range m.Cells {
		at := slices.IndexFunc(m.Tables, func(t Table) bool { return t.Runtime == c.Runtime && t.Cgroup == c.Cgroup })
		if at < 0 {
			at = len(m.Tables)
			m.Tables = append(m.Tables, Table{Runtime: c.Runtime, Cgroup: c.Cgroup})
		}
		m.Tables[at].Cells = append(m.Tables[at].Cells, c)
	}
	for i := range m.Tables {
		t := &m.Tables[i]
		var columns []string
		var all []Verdict
		kernelOf := map[string]string{} // by run
		for _, c := range t.Cells {
			columns = append(columns, c.Kernel)
			kernelOf[c.Run] = c.Kernel
			for _, v := range verdicts[c.Run] {
				if v.Runtime == t.Runtime {
					all = append(all, v)
				}
			}
		}
		var err error
		if t.Grid, err = gridOf(columns, all, func(v *Verdict) string { return kernelOf[v.Run] }); err != nil {
			return fmt.Errorf("%s with cgroup %s: %w", t.Runtime, t.Cgroup, err)
		}
	}
	return nil
}
