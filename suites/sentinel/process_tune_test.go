package sentinel

import (
	"slices"
	"testing"
)

func TestTuningChanges(t *testing.T) {
	is := tuning{limits: "l", affinity: "a", policy: "0", nice: "0", ioprio: "0"}
	for _, test := range []struct {
		change func(*tuning)
		want   []string
	}{
		{func(*tuning) {}, nil},
		{func(t *tuning) { t.limits = "m" }, []string{"limits"}},
		{func(t *tuning) { t.affinity = "b" }, []string{"affinity"}},
		{func(t *tuning) { t.policy, t.nice = "3", "7" }, []string{"scheduling policy", "nice value"}},
		{func(t *tuning) { t.ioprio = "1" }, []string{"I/O priority"}},
	} {
		other := is
		test.change(&other)
		if got := is.changes(other); !slices.Equal(got, test.want) {
			t.Errorf("changes are %v, want %v", got, test.want)
		}
	}
}
