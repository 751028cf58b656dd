package load

import (
	"errors"
	"slices"
	"testing"
	"time"
)

// clock is one that stands still unless somebody moves it.
type clock struct{ at int64 }

func (c *clock) now() int64        { return c.at }
func (c *clock) sleep(until int64) { c.at = max(c.at, until) }

// on runs a schedule in which the operation of a number takes a time.
func on(s schedule, take func(i int) time.Duration) (took []time.Duration, unserved, done int, end time.Duration) {
	c := &clock{at: 1000}
	s.now, s.sleep = c.now, c.sleep
	ns, unserved, _ := s.run(nil, func() error {
		c.at += int64(take(done))
		done++
		return nil
	})
	for _, n := range ns {
		took = append(took, time.Duration(n))
	}
	return took, unserved, done, time.Duration(c.at - 1000)
}

const ms = time.Millisecond

func TestAStalledServerShowsInEveryLatency(t *testing.T) {
	s := schedule{every: 10 * ms, window: 100 * ms, grace: time.Second}
	took, unserved, done, end := on(s, func(i int) time.Duration {
		if i == 2 { // it stands still for five periods
			return 52 * ms
		}
		return 2 * ms
	})
	want := []time.Duration{2 * ms, 2 * ms, 52 * ms, 44 * ms, 36 * ms, 28 * ms, 20 * ms, 12 * ms, 4 * ms, 2 * ms}
	if !slices.Equal(took, want) || unserved != 0 || done != 10 || end != 92*ms {
		t.Errorf("%v, want %v; %d unserved, %d done, ended after %v", took, want, unserved, done, end)
	}
}

func TestAClosedLoopWaitsForEachOperation(t *testing.T) {
	s := schedule{window: 100 * ms, grace: time.Second}
	took, unserved, done, end := on(s, func(i int) time.Duration {
		if i == 2 {
			return 52 * ms
		}
		return 10 * ms
	})
	want := []time.Duration{10 * ms, 10 * ms, 52 * ms, 10 * ms, 10 * ms, 10 * ms}
	if !slices.Equal(took, want) || unserved != 0 || done != 6 || end != 102*ms {
		t.Errorf("%v, want %v; %d unserved, %d done, ended after %v", took, want, unserved, done, end)
	}
}

func TestWhatIsNotServedIsCounted(t *testing.T) {
	s := schedule{every: 10 * ms, window: 100 * ms, grace: 50 * ms}
	took, unserved, done, end := on(s, func(int) time.Duration { return 40 * ms })
	// Four are begun by 150 ms, and the sixth would be at 160.
	want := []time.Duration{40 * ms, 70 * ms, 100 * ms, 130 * ms, 120 * ms, 110 * ms, 100 * ms, 90 * ms, 80 * ms, 70 * ms}
	if !slices.Equal(took, want) || unserved != 6 || done != 4 || end != 160*ms {
		t.Errorf("%v, want %v; %d unserved, %d done, ended after %v", took, want, unserved, done, end)
	}
	if len(took) != int(s.window/s.every) {
		t.Errorf("%d of %d operations have a latency", len(took), s.window/s.every)
	}
}

func TestAScheduleEndsWithAnError(t *testing.T) {
	c := &clock{}
	broken := errors.New("broken")
	s := schedule{every: ms, window: 10 * ms, now: c.now, sleep: c.sleep}
	took, _, err := s.run(nil, func() error {
		if c.at >= int64(3*ms) {
			return broken
		}
		return nil
	})
	if !errors.Is(err, broken) || len(took) != 3 {
		t.Errorf("%v, %v", took, err)
	}
}

func TestSleepUntil(t *testing.T) {
	until := monotonic() + int64(2*ms)
	sleepUntil(until)
	if now := monotonic(); now < until {
		t.Errorf("it woke up %v too early", time.Duration(until-now))
	}
	sleepUntil(0) // what is past needs no sleep
}
