package stats_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"cellwall/reports/stats"
)

// record counts from+step, from+2*step and so on.
func record(t *testing.T, h *stats.Histogram, from, step time.Duration, n int) {
	t.Helper()
	for i := range n {
		if err := h.Record(from + time.Duration(i+1)*step); err != nil {
			t.Fatal(err)
		}
	}
}

func quantile(t *testing.T, h *stats.Histogram, q float64) time.Duration {
	t.Helper()
	d, err := h.Quantile(q)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestHistogramHasThreeDigits(t *testing.T) {
	h := &stats.Histogram{}
	record(t, h, 0, time.Millisecond, 1000)
	for q, want := range map[float64]time.Duration{
		0: time.Millisecond, 0.5: 500 * time.Millisecond, 0.99: 990 * time.Millisecond, 0.999: 999 * time.Millisecond, 1: time.Second,
	} {
		if got := quantile(t, h, q); got < want-want/1000 || got > want+want/1000 {
			t.Errorf("quantile %g is %v, want %v", q, got, want)
		}
	}
	if h.Count() != 1000 || h.Max() < time.Second || h.Max() > time.Second+time.Millisecond {
		t.Errorf("%d durations up to %v", h.Count(), h.Max())
	}
}

func TestHistogramMergesAndSurvivesJSON(t *testing.T) {
	a, b, both := &stats.Histogram{}, &stats.Histogram{}, &stats.Histogram{}
	record(t, a, 0, 17*time.Microsecond, 500)
	record(t, b, 3*time.Millisecond, 911*time.Nanosecond, 700)
	record(t, both, 0, 17*time.Microsecond, 500)
	record(t, both, 3*time.Millisecond, 911*time.Nanosecond, 700)
	if err := a.Merge(b); err != nil {
		t.Fatal(err)
	}
	want, err := json.Marshal(both)
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := json.Marshal(a); string(got) != string(want) {
		t.Errorf("merged %s\nwant %s", got, want)
	}
	var again stats.Histogram
	if err := json.Unmarshal(want, &again); err != nil {
		t.Fatal(err)
	}
	if got, _ := json.Marshal(&again); string(got) != string(want) || again.Count() != 1200 {
		t.Errorf("read back %d: %s", again.Count(), got)
	}
}

func TestHistogramRefuses(t *testing.T) {
	h := &stats.Histogram{}
	for what, err := range map[string]error{
		"holds from 0 to 1h": h.Record(-1),
		"a histogram holds":  h.Record(time.Hour + 1),
		"is empty":           second(h.Quantile(0.5)),
		"give a number":      second(h.Quantile(1.1)),
		"read histogram":     json.Unmarshal([]byte(`{"unit":"ns","digits":3,"counts":[[-1,1]]}`), h),
		"a count of -3":      json.Unmarshal([]byte(`{"unit":"ns","digits":3,"counts":[[1,-3]]}`), h),
		"only \"ns\"":        json.Unmarshal([]byte(`{"unit":"ms","digits":3}`), h),
		"a count of 9223372036854775807 beside 1": json.Unmarshal([]byte(`{"unit":"ns","digits":3,"counts":[[1,1],[1,9223372036854775807]]}`), h),
	} {
		if err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%v, want %q", err, what)
		}
	}
	if h.Count() != 0 {
		t.Error("something was counted")
	}
}

func second[T any](_ T, err error) error { return err }

func FuzzHistogramJSON(f *testing.F) {
	f.Add([]byte(`{"unit":"ns","digits":3,"counts":[[1000,3],[2000000,1]]}`))
	f.Add([]byte(`{"unit":"ns","digits":3,"counts":[[3600000000000,9223372036854775807]]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var h stats.Histogram
		if json.Unmarshal(data, &h) != nil {
			return
		}
		b, err := json.Marshal(&h)
		if err != nil {
			t.Fatal(err)
		}
		var again stats.Histogram
		if err := json.Unmarshal(b, &again); err != nil {
			t.Fatal(err)
		}
		c, err := json.Marshal(&again)
		if err != nil || string(b) != string(c) || h.Count() != again.Count() {
			t.Fatalf("%s became %s", b, c)
		}
	})
}
