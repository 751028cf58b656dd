package sentinel

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/spec"
	"cellwall/suites/attack"
)

// The offsets of the container's clocks: far more than a trial takes, and different.
const (
	monotonicOffset = 1_000_000 * time.Second
	boottimeOffset  = 2_000_000 * time.Second
	// uptimeStep is the resolution of /proc/uptime.
	uptimeStep = 10 * time.Millisecond
)

// hostClocks are the host's at one moment.
type hostClocks struct{ monotonic, boottime time.Duration }

func readClocks() (c hostClocks, err error) {
	for id, d := range map[int32]*time.Duration{unix.CLOCK_MONOTONIC: &c.monotonic, unix.CLOCK_BOOTTIME: &c.boottime} {
		var t unix.Timespec
		if err := unix.ClockGettime(id, &t); err != nil {
			return c, fmt.Errorf("read clock: %w", err)
		}
		*d = time.Duration(t.Nano())
	}
	return c, nil
}

// ClocksOffset compares the clocks that the attacker returns with the host's, which were read
// right before and after.
func ClocksOffset(*Stage) (*Watch, error) {
	at := map[string]hostClocks{}
	return &Watch{
		Edits: spec.Edits{spec.Change("clock offsets", func(c *specs.Spec) {
			if spec.HasNamespace(c, specs.TimeNamespace) {
				c.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{
					"monotonic": {Secs: int64(monotonicOffset / time.Second)},
					"boottime":  {Secs: int64(boottimeOffset / time.Second)},
				}
			}
		})},
		Hold: func(_ context.Context, name string, _ *Subject) (err error) {
			at[name], err = readClocks()
			return err
		},
		Look: func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
			if err := MustTry(r, "clock_gettime monotonic", "clock_gettime boottime"); err != nil {
				return Finding{}, err
			}
			return judgeClocks(r.Facts, at)
		},
	}, nil
}

// judgeClocks says what the clocks in the facts are: the host's, or the host's and the offset.
func judgeClocks(facts map[string]string, at map[string]hostClocks) (f Finding, err error) {
	var shifted, host, changed []string
	for _, reading := range []struct{ when, from, to string }{{"", "before", "read"}, {" again", "changed", "after"}} {
		from, to := at[reading.from], at[reading.to]
		for _, clock := range []struct {
			name                   string
			low, high, offset, off time.Duration
		}{
			{"monotonic", from.monotonic, to.monotonic, monotonicOffset, 0},
			{"boottime", from.boottime, to.boottime, boottimeOffset, 0},
			{"uptime", from.boottime, to.boottime, boottimeOffset, uptimeStep},
		} {
			name := clock.name + reading.when
			value, ok, err := parseClock(facts, name)
			if err != nil {
				return f, err
			}
			inside := func(shift time.Duration) bool {
				return clock.low+shift-clock.off <= value && value <= clock.high+shift+clock.off
			}
			switch {
			case !ok && clock.off != 0: // no /proc at this rung
			case !ok:
				return f, fmt.Errorf("clock %s was not read", name)
			case inside(0):
				host = append(host, name)
			case inside(clock.offset):
				shifted = append(shifted, name)
			case reading.when != "":
				changed = append(changed, name)
			default:
				return f, fmt.Errorf("clock %s is neither the host's nor that and its offset: %s", name, facts[name])
			}
		}
	}
	slices.Sort(host)
	f.Breached = len(host)+len(changed) > 0
	f.Evidence = fmt.Sprintf("%d clocks carry the offset; the host's own: [%s]; changed from inside: [%s]", len(shifted), strings.Join(host, ", "), strings.Join(changed, ", "))
	return f, nil
}

// parseClock reads nanoseconds, or for an uptime seconds with two decimals.
func parseClock(facts map[string]string, name string) (time.Duration, bool, error) {
	text, ok := facts[name]
	if !ok {
		return 0, false, nil
	}
	if strings.HasPrefix(name, "uptime") {
		seconds, err := strconv.ParseFloat(text, 64)
		if err != nil || !(math.Abs(seconds) < 1e9) { // NaN is not less
			return 0, false, fmt.Errorf("read clock %s: %.40q is none", name, text)
		}
		return time.Duration(seconds * float64(time.Second)), true, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, false, fmt.Errorf("read clock %s: %.40q is none", name, text)
	}
	return time.Duration(n), true, nil
}
