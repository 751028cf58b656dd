package sentinel

import (
	"testing"
	"time"
)

func TestFlooded(t *testing.T) {
	begin := time.Unix(1000, 0)
	at := func(before, after time.Duration, offered, sent uint64) carried {
		return carried{before: begin.Add(before), after: begin.Add(after), offered: offered, sent: sent}
	}
	const ms = time.Millisecond
	start := at(0, ms, 1<<10, 1<<10)
	for name, c := range map[string]struct {
		end              carried
		breached, failed bool
	}{
		"the limit and the burst":                    {end: at(100*ms, 101*ms, 8<<20, 240<<10)},
		"twice the limit":                            {end: at(100*ms, 101*ms, 8<<20, 440<<10), breached: true},
		"stopped within the reading, and it emptied": {end: at(100*ms, 130*ms, 8<<20, 300<<10)},
		"no flood":              {end: at(100*ms, 101*ms, 240<<10, 240<<10), failed: true},
		"nothing left the host": {end: at(100*ms, 101*ms, 8<<20, 1<<10), failed: true},
		"no end":                {failed: true},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := flooded(start, c.end)
			if f.Breached != c.breached || (err != nil) != c.failed {
				t.Errorf("%+v, %v", f, err)
			}
		})
	}
}
