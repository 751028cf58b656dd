package stats

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// What a Histogram holds: times up to an hour, each to three digits. All histograms have the same
// buckets, so they merge without loss. One takes 250 kB.
const (
	histogramMax    = int64(time.Hour)
	histogramDigits = 3
)

// Histogram counts durations; the zero value is empty and ready. It corrects nothing: a load that
// is sent on schedule, whether or not the answers come (an open loop), has no coordinated
// omission to correct.
type Histogram struct{ h *hdrhistogram.Histogram }

// buckets are made on first use.
func (h *Histogram) buckets() *hdrhistogram.Histogram {
	if h.h == nil {
		h.h = hdrhistogram.New(1, histogramMax, histogramDigits)
	}
	return h.h
}

// Record counts one duration. It refuses one that is negative or longer than an hour.
func (h *Histogram) Record(d time.Duration) error { return h.add(int64(d), 1) }

func (h *Histogram) add(v, count int64) error {
	if v < 0 || v > histogramMax {
		return fmt.Errorf("record %v: a histogram holds from 0 to %v", time.Duration(v), time.Duration(histogramMax))
	}
	if count < 1 || count > math.MaxInt64-h.Count() {
		return fmt.Errorf("record %v: a count of %d beside %d", time.Duration(v), count, h.Count())
	}
	if err := h.buckets().RecordValues(v, count); err != nil {
		return fmt.Errorf("record %v: %w", time.Duration(v), err)
	}
	return nil
}

// Count is the number of durations.
func (h *Histogram) Count() int64 { return h.buckets().TotalCount() }

// Max is the longest duration, to three digits; 0 where there is none.
func (h *Histogram) Max() time.Duration { return time.Duration(h.buckets().Max()) }

// Merge adds what other has counted.
func (h *Histogram) Merge(other *Histogram) error {
	if other.Count() > math.MaxInt64-h.Count() {
		return fmt.Errorf("merge %d with %d: the sum is too large", h.Count(), other.Count())
	}
	if dropped := h.buckets().Merge(other.buckets()); dropped > 0 {
		return fmt.Errorf("merge: %d durations did not fit", dropped)
	}
	return nil
}

// Quantile returns the duration that the share q, from 0 to 1, does not exceed, to three digits.
// For an interval of it give the raw samples to the function of the same name.
func (h *Histogram) Quantile(q float64) (time.Duration, error) {
	if !(q >= 0 && q <= 1) {
		return 0, fmt.Errorf("quantile is %g: give a number from 0 to 1, such as 0.99", q)
	}
	if h.Count() == 0 {
		return 0, errors.New("quantile: the histogram is empty")
	}
	first := 1 / float64(h.Count()) // for less the library looks at no duration at all, and says 0
	return time.Duration(h.buckets().ValueAtPercentile(max(q, first) * 100)), nil
}

// stored is the JSON of a histogram: pairs of the shortest duration of a bucket and its count.
type stored struct {
	Unit   string     `json:"unit"`
	Digits int        `json:"digits"`
	Counts [][2]int64 `json:"counts"`
}

// MarshalJSON writes the buckets that are not empty.
func (h *Histogram) MarshalJSON() ([]byte, error) {
	s := stored{Unit: "ns", Digits: histogramDigits, Counts: [][2]int64{}}
	for _, b := range h.buckets().Distribution() {
		if b.Count > 0 {
			s.Counts = append(s.Counts, [2]int64{b.From, b.Count})
		}
	}
	return json.Marshal(s)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (h *Histogram) UnmarshalJSON(data []byte) error {
	var s stored
	if err := json.Unmarshal(data, &s); err != nil {
		return fmt.Errorf("read histogram: %w", err)
	}
	if s.Unit != "ns" || s.Digits != histogramDigits {
		return fmt.Errorf("read histogram: %q to %d digits, only \"ns\" to %d digits is known", s.Unit, s.Digits, histogramDigits)
	}
	var n Histogram
	for _, c := range s.Counts {
		if err := n.add(c[0], c[1]); err != nil {
			return fmt.Errorf("read histogram: %w", err)
		}
	}
	*h = n
	return nil
}
