package interfere

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"cellwall/runtime/cgroup"
)

// others is the CPU time in seconds that was used on the host outside of our groups, and all that there
// was, both since some moment.
func (h *Host) others() (used, whole float64, err error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0, fmt.Errorf("read the host's CPU time: %w", err)
	}
	if used, err = parseBusy(string(text)); err != nil {
		return 0, 0, fmt.Errorf("read the host's CPU time: %w", err)
	}
	for _, g := range []*cgroup.Group{h.fence, h.apart} {
		s, err := g.Stat()
		if err != nil {
			return 0, 0, err
		}
		used -= (time.Duration(s.CPU.UsageUsec) * time.Microsecond).Seconds() // at most some years
	}
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return 0, 0, fmt.Errorf("read the clock: %w", err)
	}
	return used, time.Duration(now.Nano()).Seconds() * float64(runtime.NumCPU()), nil
}

// parseBusy reads from the first line of /proc/stat for how many seconds the CPUs were busy: proc_stat(5).
func parseBusy(text string) (float64, error) {
	const hertz = 100 // USER_HZ of every architecture that Go knows
	line, _, _ := strings.Cut(text, "\n")
	fields := strings.Fields(line)
	const irq, softirq = 6, 7 // after cpu, user, nice, system, idle and iowait
	if len(fields) <= softirq || fields[0] != "cpu" {
		return 0, fmt.Errorf("%.60q: want cpu and its ticks", line)
	}
	var ticks uint64
	for _, i := range []int{1, 2, 3, irq, softirq} {
		n, err := strconv.ParseUint(fields[i], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%.60q: %w", line, err)
		}
		ticks += n
	}
	return float64(ticks) / hertz, nil
}
