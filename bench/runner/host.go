package runner

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"cellwall/reports/record"
	"cellwall/runtime/cgroup"
)

// HostState reads what makes measurements noisy, as it is now.
func HostState() (record.Host, error) {
	var h record.Host
	for _, read := range []struct {
		path  string
		parse func(*record.Host, string) error
	}{
		{"/proc/loadavg", parseLoad},
		{"/proc/stat", parseStat},
		{"/proc/vmstat", parseVMStat},
	} {
		text, err := os.ReadFile(read.path)
		if err != nil {
			return h, fmt.Errorf("read the host's state: %w", err)
		}
		if err := read.parse(&h, string(text)); err != nil {
			return h, fmt.Errorf("read the host's state: %s: %w", read.path, err)
		}
	}
	governor, err := os.ReadFile("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return h, fmt.Errorf("read the host's state: %w", err)
	}
	h.Governor = strings.TrimSpace(string(governor))
	h.ThrottledUsec, err = throttled()
	return h, err
}

// parseLoad reads /proc/loadavg: "0.35 0.86 2.33 1/83 22732".
func parseLoad(h *record.Host, text string) error {
	var all int
	n, err := fmt.Sscanf(text, "%g %g %g %d/%d", &h.Load[0], &h.Load[1], &h.Load[2], &h.Runnable, &all)
	if n < 5 {
		return fmt.Errorf("%.60q: %w", text, err)
	}
	return nil
}

// parseStat reads the line of all CPUs of /proc/stat: user, nice, system, idle, iowait, irq, softirq,
// steal; guest time is a part of user's.
func parseStat(h *record.Host, text string) error {
	const counted, steal = 8, 7
	line, _, _ := strings.Cut(text, "\n")
	fields := strings.Fields(line)
	if len(fields) <= counted || fields[0] != "cpu" {
		return fmt.Errorf("%.60q: want cpu and its ticks", line)
	}
	for i, f := range fields[1 : counted+1] {
		n, err := strconv.ParseUint(f, 10, 64)
		if err != nil {
			return fmt.Errorf("%.60q: %w", line, err)
		}
		h.CPUTicks += n
		if i == steal {
			h.StealTicks = n
		}
	}
	return nil
}

// parseVMStat reads pswpin and pswpout. A kernel without swap has neither.
func parseVMStat(h *record.Host, text string) error {
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		to := map[string]*uint64{"pswpin": &h.SwapIn, "pswpout": &h.SwapOut}[name]
		if to == nil {
			continue
		}
		n, err := strconv.ParseUint(value, 10, 64)
		if err != nil {
			return fmt.Errorf("%.60q: %w", lines.Text(), err)
		}
		*to = n
	}
	return lines.Err()
}

// throttled is how long our own cgroup has been throttled; nil where it has no such counter.
func throttled() (_ *uint64, err error) {
	own, err := cgroup.Open(os.Getpid())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, own.Close()) }()
	if own.Path("cpu") == "" {
		return nil, nil // documented
	}
	s, err := own.Stat()
	if err != nil {
		return nil, err
	}
	for _, l := range s.Lacks {
		if strings.HasPrefix(l, "cpu.stat") && strings.Contains(l, "throttled") {
			return nil, nil // documented
		}
	}
	return &s.CPU.ThrottledUsec, nil
}
