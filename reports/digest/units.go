package digest

import (
	"math"
	"slices"
)

// units are what the runs of one side have shown, each run or each block one.
func units(of []measured, perRun bool) [][]float64 {
	var all [][]float64
	for _, m := range of {
		blocks := m.relative()
		if perRun {
			blocks = [][]float64{slices.Concat(blocks...)}
		}
		all = append(all, blocks...)
	}
	return all
}

// relative are the values of each block over the control's in that block, which takes away what the host
// does to both. A control that counts something else, such as time beside a memory row, says nothing of
// that: then they are the values themselves.
func (m measured) relative() [][]float64 {
	blocks := m.Blocks()
	if !m.byControl() {
		return blocks
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
		by := math.Exp(level[number] / count[number]) // NaN where the control has no part in the block
		for j := range block {
			blocks[i][j] /= by
		}
	}
	return blocks
}

// byControl reports whether the control counts the same thing.
func (m measured) byControl() bool { return m.control != nil && m.control.Unit == m.Unit }
