package sentinel

import (
	"fmt"
	"testing"
	"time"
)

func TestJudgeClocks(t *testing.T) {
	at := map[string]hostClocks{
		"before":  {monotonic: 100 * time.Second, boottime: 200 * time.Second},
		"read":    {monotonic: 101 * time.Second, boottime: 201 * time.Second},
		"changed": {monotonic: 102 * time.Second, boottime: 202 * time.Second},
		"after":   {monotonic: 103 * time.Second, boottime: 203 * time.Second},
	}
	clocks := func(monotonic, boottime, again time.Duration) map[string]string {
		return map[string]string{
			"monotonic":       fmt.Sprint(int64(monotonic)),
			"boottime":        fmt.Sprint(int64(boottime)),
			"uptime":          fmt.Sprintf("%.2f", boottime.Seconds()),
			"monotonic again": fmt.Sprint(int64(again)),
			"boottime again":  fmt.Sprint(int64(202500*time.Millisecond + boottimeOffset)),
		}
	}
	shifted := 100500*time.Millisecond + monotonicOffset
	boot := 200500*time.Millisecond + boottimeOffset
	for _, c := range []struct {
		name     string
		facts    map[string]string
		breached bool
		fails    bool
	}{
		{"offset", clocks(shifted, boot, shifted+2*time.Second), false, false},
		{"host's monotonic", clocks(100500*time.Millisecond, boot, shifted+2*time.Second), true, false},
		{"host's boottime", clocks(shifted, 200500*time.Millisecond, shifted+2*time.Second), true, false},
		{"changed from inside", clocks(shifted, boot, shifted+86400*time.Second), true, false},
		{"neither", clocks(shifted+time.Hour, boot, shifted+2*time.Second), false, true},
		{"monotonic not read", map[string]string{"boottime": fmt.Sprint(int64(boot))}, false, true},
		{"nothing read", nil, false, true},
		{"not read again", map[string]string{
			"monotonic": fmt.Sprint(int64(shifted)), "boottime": fmt.Sprint(int64(boot)),
		}, false, true},
		{"no number", map[string]string{"monotonic": "soon"}, false, true},
		{"no number of seconds", map[string]string{"uptime": "NaN"}, false, true},
	} {
		f, err := judgeClocks(c.facts, at)
		if (err != nil) != c.fails || f.Breached != c.breached && !c.fails {
			t.Errorf("%s: breached %v (%s), %v", c.name, f.Breached, f.Evidence, err)
		}
	}
}

// FuzzParseClock: whatever an attacker says of a clock is a duration or an error.
func FuzzParseClock(f *testing.F) {
	for _, text := range []string{"123.45", "-1", "1e300", "NaN", "Inf", "9223372036854775807"} {
		f.Add("uptime", text)
		f.Add("monotonic", text)
	}
	f.Fuzz(func(t *testing.T, name, text string) {
		_, ok, err := parseClock(map[string]string{name: text}, name)
		if ok == (err != nil) {
			t.Errorf("%q is %q: found %v, %v", name, text, ok, err)
		}
		if _, ok, err := parseClock(nil, name); ok || err != nil {
			t.Errorf("a clock that is not there: found %v, %v", ok, err)
		}
	})
}
