package load_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cellwall/bench/load"
)

// TestVictims runs each that needs nobody at the other end of a link: every operation that was due has a
// latency.
func TestVictims(t *testing.T) {
	dir := root(t)
	for _, v := range load.Victims() {
		if v.Name == "echo" {
			continue
		}
		t.Run(v.Name, func(t *testing.T) {
			r := start(t, dir, load.Victim, v.Name)
			if a := r.hear(t); a.Ready != 1 || a.Error != "" {
				t.Fatalf("it says %+v", a)
			}
			const window = 40 * time.Millisecond
			for range 2 {
				a := r.ask(t, load.Request{Delay: window})
				if a.Error != "" || a.CPU <= 0 || a.Seconds < 0 {
					t.Fatalf("it says %+v", a)
				}
				due := 1
				if v.Every > 0 {
					due = int(window / v.Every)
				}
				if len(a.Latencies) < due || v.Every > 0 && len(a.Latencies) > due {
					t.Errorf("%d latencies, %d were due", len(a.Latencies), due)
				}
				for _, l := range a.Latencies {
					if l <= 0 {
						t.Errorf("a latency of %d ns", l)
					}
				}
			}
		})
	}
}

func TestAVictimSaysWhatItLacks(t *testing.T) {
	dir := root(t)
	for want, args := range map[string][]string{"a victim has a name": nil, "no victim moon": {"moon"}, "an echo has an address": {"echo"}, `address \"moon\"`: {"echo", "moon"}} {
		refused(t, dir, want, append([]string{load.Victim}, args...)...)
	}
}

// refused fails unless a load gives a reason and no more.
func refused(t *testing.T, dir, want string, args ...string) {
	t.Helper()
	out, err := exec.Command(filepath.Join(dir, load.Program), args...).Output()
	if err == nil || !strings.Contains(string(out), want) || strings.Count(string(out), "\n") != 1 {
		t.Errorf("%v: %q, %v, want %q", args, out, err, want)
	}
}
