package interfere

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"cellwall/bench/load"
	"cellwall/reports/record"
	"cellwall/reports/stats"
)

// side collects the turns of one side in a block.
type side struct {
	latencies []int64
	unserved  int
	seconds   float64
}

func (s *side) add(a load.Reply) {
	s.latencies = append(s.latencies, a.Latencies...)
	s.unserved += a.Unserved
	s.seconds += a.Seconds
}

// record is what is kept of a side.
func (s *side) record() (record.Side, error) {
	var h stats.Histogram
	for _, l := range s.latencies {
		if err := h.Record(time.Duration(l)); err != nil {
			return record.Side{}, err
		}
	}
	if len(s.latencies) == 0 {
		return record.Side{}, errors.New("the victim did nothing: its window is too short for one operation")
	}
	kept := record.Side{Unserved: s.unserved, Seconds: s.seconds}
	// Both have the same JSON: package record imports nothing.
	text, err := json.Marshal(&h)
	if err == nil {
		err = json.Unmarshal(text, &kept.Latencies)
	}
	if err != nil {
		return record.Side{}, fmt.Errorf("keep a histogram: %w", err)
	}
	sorted := slices.Sorted(slices.Values(s.latencies))
	n := len(sorted)
	kept.Median = (time.Duration(sorted[(n-1)/2]) + time.Duration(sorted[n/2])).Seconds() / 2
	return kept, nil
}

// sides are both.
type sides struct{ alone, beside side }

func (s *sides) record() (d record.Duel, err error) {
	if d.Alone, err = s.alone.record(); err != nil {
		return d, err
	}
	d.Beside, err = s.beside.record()
	return d, err
}
