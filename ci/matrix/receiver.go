package matrix

import (
	"bytes"
	"fmt"
	"slices"

	"cellwall/reports/record"
)

// receiver gets the records of one guest, checks them, and passes them on. What it refuses ends the
// guest.
type receiver struct {
	*board
	at     int // its place on the board
	cells  []record.Cell
	prefix string // of the name of its run: every guest counts its processes from 1

	run        string // as the guest calls it
	asked, got int
	failed     error // of out
}

func (r *receiver) begins() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.begun = max(r.begun, r.at+1)
	r.moved()
}

// Write takes whole lines.
func (r *receiver) Write(p []byte) (int, error) {
	set, err := record.Read("guest", bytes.NewReader(p))
	if err != nil {
		return 0, err
	}
	if len(set.Benches)+len(set.Interferences)+len(set.Cells) > 0 {
		return 0, fmt.Errorf("guest: %.80q is a record of something else than verify", p)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, run := range set.Runs {
		if err := r.begin(run); err != nil {
			return 0, err
		}
	}
	for _, v := range set.Verdicts {
		if err := r.verdict(v); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

func (r *receiver) begin(run record.Run) error {
	if r.run != "" || run.ID == "" {
		return fmt.Errorf("guest: run %.40q after run %.40q", run.ID, r.run)
	}
	r.run, r.asked = run.ID, run.Asked
	run.ID = r.prefix + run.ID
	for i := range r.cells {
		r.cells[i].Outcome, r.cells[i].Run = record.CellBegun, run.ID
	}
	if r.failed = writeCells(r.out, r.cells); r.failed != nil {
		return r.failed
	}
	r.failed = r.out.Run(run)
	return r.failed
}

func (r *receiver) verdict(v record.Verdict) error {
	is := func(c record.Cell) bool { return c.Runtime == v.Runtime }
	if r.run == "" || v.Run != r.run || !slices.ContainsFunc(r.cells, is) {
		return fmt.Errorf("guest: a verdict of run %.40q by %.40q is of no cell", v.Run, v.Runtime)
	}
	r.got++
	v.Run = r.prefix + v.Run
	r.failed = r.out.Verdict(v)
	if r.asked > 0 {
		r.shares[r.at] = min(float64(r.got)/float64(r.asked), 1)
	}
	r.moved()
	return r.failed
}
