package digest

import (
	"fmt"
	"math"
	"slices"
)

// units are what the runs of one side have shown, each run or each block one.
func units(of []measured, perRun bool) ([][]float64, error) {
	var all [][]float64
	for _, m := range of {
		blocks, err := m.relative()
		if err != nil {
			return nil, err
		}
		if perRun {
			blocks = [][]float64{slices.Concat(blocks...)}
		}
		all = append(all, blocks...)
	}
	return all, nil
}

// sameControl says what is wrong where only some of the runs can be taken over their control.
func sameControl(of []measured) error {
	for _, m := range of {
		if first := of[0]; m.byControl() != first.byControl() {
			return fmt.Errorf("its control is in %q at %s and in %q at %s", first.control.Unit, where(first), m.control.Unit, where(m))
		}
	}
	return nil
}

// relative are the values of each block over the control's in that block, which takes away what the host
// does to both. A control that counts something else, such as time beside a memory row, says nothing of
// that: then they are the values themselves.
func (m measured) relative() ([][]float64, error) {
	blocks := m.Blocks()
	if !m.byControl() {
		return blocks, nil
	}
	level := map[int]float64{} // of the control, by block: the geometric mean
	count := map[int]float64{}
	for _, s := range m.control.Samples {
		level[s.Block] += math.Log(s.Value)
		count[s.Block]++
	}
	at := 0
	for i, block := range blocks {
		number := m.Samples[at].Block
		at += len(block)
		by := math.Exp(level[number] / count[number])
		if !(by > 0) { // NaN where it has no part in the block
			return nil, fmt.Errorf("%s: its control has no ratio in block %d: it has a sample of 0 or less there, or none", where(m), number)
		}
		for j := range block {
			blocks[i][j] /= by
		}
	}
	return blocks, nil
}

// byControl reports whether the control counts the same thing.
func (m measured) byControl() bool { return m.control != nil && m.control.Unit == m.Unit }
