package command

import (
	"fmt"
	"io"
	"strings"
	"time"

	"cellwall/runtime/cgroup"
)

// watchEvery is how often the view is drawn anew.
const watchEvery = 500 * time.Millisecond

// watchGroup draws what a cgroup uses until stop is called: in place on a terminal, a line at a
// time elsewhere.
func watchGroup(w io.Writer, g *cgroup.Group) (stop func()) {
	if g == nil {
		fmt.Fprintln(w, "nothing to watch: the container has no cgroup of its own")
		return func() {}
	}
	_, terminal := terminalWidth(w)
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(watchEvery)
		defer tick.Stop()
		v := view{group: g, terminal: terminal}
		for {
			select {
			case <-tick.C:
				v.draw(w)
			case <-quit:
				v.draw(w)
				if terminal {
					fmt.Fprint(w, "\r\n")
				}
				return
			}
		}
	}()
	return func() { close(quit); <-ended }
}

type view struct {
	group    *cgroup.Group
	terminal bool
	last     cgroup.Stat
	at       time.Time
}

func (v *view) draw(w io.Writer) {
	now := time.Now()
	stat, err := v.group.Stat()
	if err != nil {
		return // it is going away
	}
	limits, err := v.group.Limits()
	if err != nil {
		return
	}
	cpu := 0.0
	if !v.at.IsZero() {
		cpu = float64(stat.CPU.UsageUsec-v.last.CPU.UsageUsec) / float64(now.Sub(v.at).Microseconds()) * 100
	}
	throttled := ""
	if stat.CPU.NrThrottled > 0 {
		throttled = fmt.Sprintf("  throttled %v in %d of %d periods",
			(time.Duration(stat.CPU.ThrottledUsec) * time.Microsecond).Round(time.Millisecond), stat.CPU.NrThrottled, stat.CPU.NrPeriods)
	}
	line := fmt.Sprintf("cpu %5.1f %%  memory %s %s  tasks %s%s",
		cpu, bar(stat.Memory.Current, limits.MemoryMax), amount(stat.Memory.Current, limits.MemoryMax, size),
		amount(stat.Pids.Current, limits.PidsMax, func(n uint64) string { return fmt.Sprint(n) }), throttled)
	if v.terminal {
		fmt.Fprintf(w, "\r\x1b[K%s", line)
	} else {
		fmt.Fprintln(w, line)
	}
	v.last, v.at = stat, now
}

const barWidth = 20

// bar draws how full a limit is.
func bar(used, limit uint64) string {
	if limit == 0 {
		return ""
	}
	full := int(min(used, limit) * barWidth / limit)
	return "[" + strings.Repeat("#", full) + strings.Repeat(".", barWidth-full) + "]"
}

func amount(used, limit uint64, show func(uint64) string) string {
	if limit == 0 {
		return show(used)
	}
	return show(used) + " of " + show(limit)
}

// size shows bytes in a unit of 1024.
func size(n uint64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, names := float64(n)/unit, "KMGT"
	for value >= unit && len(names) > 1 {
		value, names = value/unit, names[1:]
	}
	return fmt.Sprintf("%.1f %ciB", value, names[0])
}
