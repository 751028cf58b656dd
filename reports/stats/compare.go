package stats

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// Options say how sure Compare has to be. Zero values mean the defaults.
type Options struct {
	Confidence float64 // of the interval, 0.95
	Alpha      float64 // the level at which the smallest ratio would have been found, 1-Confidence
	Power      float64 // with which probability, 0.8
}

// Comparison is what an interleaved run says about two versions.
type Comparison struct {
	// Ratio is new/old: 1.05 where the new version takes 5 % more.
	Ratio Interval `json:"ratio"`
	// P is the two-sided p of the hypothesis that the ratio is 1.
	P float64 `json:"p"`
	// MDE is the smallest ratio above 1 that this run would have found at Alpha with Power; its
	// inverse is the largest one below 1. "No difference" means: none that is larger than this.
	MDE float64 `json:"mde"`
	// Blocks is the number of independent ratios behind it.
	Blocks int `json:"blocks"`
}

// Compare estimates new/old from the samples of an interleaved run: older[b] and newer[b] are
// what block b measured, at least one positive number each, in the same unit. Within a block the
// versions alternate as ABBA, so a drift hits both alike. The blocks may have different sizes.
//
// Each block gives one log ratio, the Hodges-Lehmann shift of its log samples. What drifts
// between blocks cancels in it. The ratio is the median of their Walsh averages, with the interval
// and the p of the Wilcoxon signed rank test (Hollander & Wolfe 1999, 3.1 to 3.3). Both are exact
// up to 100 blocks where the log ratios are independent and symmetric, as they are when there is
// no difference. Compare fails where there are too few blocks for Confidence or Alpha, and says how
// many are needed.
func Compare(older, newer [][]float64, o Options) (Comparison, error) {
	o, err := o.withDefaults()
	if err != nil {
		return Comparison{}, fmt.Errorf("compare: %w", err)
	}
	ratios, err := blockRatios(older, newer)
	if err != nil {
		return Comparison{}, fmt.Errorf("compare: %w", err)
	}
	n := len(ratios)
	if need := blocksFor(min(1-o.Confidence, o.Alpha)); n < need {
		return Comparison{}, fmt.Errorf("compare with confidence %.3g and alpha %.3g: %d blocks, at least %d are needed", o.Confidence, o.Alpha, n, need)
	}
	slices.Sort(ratios)
	rank, reached := rankT(n, o.Confidence)
	all := n * (n + 1) / 2
	point := nthWalsh(ratios, (all+1)/2)
	if all%2 == 0 {
		point = middle(point, nthWalsh(ratios, all/2+1))
	}
	low, high := nthWalsh(ratios, rank), nthWalsh(ratios, all+1-rank)
	c := Comparison{
		Ratio:  Interval{Point: math.Exp(point), Low: math.Exp(low), High: math.Exp(high), Confidence: reached},
		P:      signedRankP(ratios),
		MDE:    math.Exp(leastShift(ratios, point, o.Alpha, o.Power)),
		Blocks: n,
	}
	if math.IsInf(c.Ratio.High, 0) || math.IsInf(c.MDE, 0) || c.Ratio.Low == 0 {
		return Comparison{}, errors.New("compare: the samples differ by more than a float64 can hold: are they of the same unit?")
	}
	return c, nil
}

func (o Options) withDefaults() (Options, error) {
	if o.Confidence == 0 {
		o.Confidence = 0.95
	}
	if o.Alpha == 0 {
		o.Alpha = 1 - o.Confidence
	}
	if o.Power == 0 {
		o.Power = 0.8
	}
	return o, errors.Join(inside("confidence", o.Confidence), inside("alpha", o.Alpha), inside("power", o.Power))
}

// blocksFor is the number of blocks for which even the clearest outcome, all on one side, has a
// p of at most alpha: 2 of the 2^n signs.
func blocksFor(alpha float64) int {
	return max(2, int(math.Ceil(1-math.Log2(alpha*(1+slack)))))
}

// blockRatios returns the log ratio new/old of each block.
func blockRatios(older, newer [][]float64) ([]float64, error) {
	if len(older) == 0 {
		return nil, errors.New("no blocks")
	}
	if len(older) != len(newer) {
		return nil, fmt.Errorf("%d blocks of old samples and %d of new ones: a block has both", len(older), len(newer))
	}
	ratios := make([]float64, len(older))
	for b := range older {
		minus, c, err := logDifferences(older[b], newer[b])
		if err != nil {
			return nil, fmt.Errorf("block %d: %w", b, err)
		}
		ratios[b] = medianDifference(minus, c)
	}
	return ratios, nil
}

func logDifferences(older, newer []float64) (minus, b []float64, err error) {
	a, err := logs("old", older)
	if err != nil {
		return nil, nil, err
	}
	if b, err = logs("new", newer); err != nil {
		return nil, nil, err
	}
	return differences(a, b)
}

func logs(name string, x []float64) ([]float64, error) {
	l := make([]float64, len(x))
	for i, v := range x {
		if v <= 0 {
			return nil, fmt.Errorf("%s: sample %d is %g: only positive numbers have a ratio", name, i, v)
		}
		l[i] = math.Log(v)
	}
	return l, nil
}
