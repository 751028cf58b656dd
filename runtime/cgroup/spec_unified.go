package cgroup

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/kernel"
)

// specUnified reads cgroup v2's files by their names.
func (l *Limits) specUnified(r *specs.LinuxResources) error {
	for _, file := range sortedKeys(r.Unified) {
		if err := l.unified(file, strings.TrimSpace(r.Unified[file])); err != nil {
			return fmt.Errorf("unified %q: %w", file, err)
		}
	}
	return nil
}

func (l *Limits) unified(file, value string) error {
	n, err := parseMax(value)
	switch file {
	case "memory.max":
		l.MemoryMax = orZero(n)
	case "memory.high":
		l.MemoryHigh = orZero(n)
	case "memory.min":
		l.MemoryMin = orZero(n)
	case "memory.low":
		l.MemoryLow = orZero(n)
	case "memory.swap.max":
		l.SwapMax = n
	case "memory.oom.group":
		l.OOMGroup = orZero(n) != 0
	case "cpu.weight":
		l.CPUWeight, l.CPUShares = orZero(n), 0
	case "cpu.max.burst":
		l.CPUMax.Burst = time.Duration(orZero(n)) * time.Microsecond
	case "pids.max":
		l.PidsMax = orZero(n)
	case "cgroup.max.descendants":
		l.MaxDescendants = n
	case "cgroup.max.depth":
		l.MaxDepth = n
	case "io.weight":
		n, err = parseMax(strings.TrimPrefix(value, "default "))
		l.IOWeight = orZero(n)
	case "cpuset.cpus":
		l.CPUs, err = value, nil
	case "cpuset.mems":
		l.Mems, err = value, nil
	case "cpu.max":
		return l.unifiedCPUMax(value)
	case "io.max":
		return l.unifiedIOMax(value)
	default:
		size, ok := strings.CutPrefix(file, "hugetlb.")
		size, ok2 := strings.CutSuffix(size, ".max")
		if !ok || !ok2 || !isHugeSize(size) {
			return kernel.Unsupported("a file that is no limit")
		}
		if n != nil {
			l.addHuge(size, *n)
		}
	}
	// These have fields in which 0 is no limit, so a 0 cannot be said.
	if err == nil && n != nil && *n == 0 && (file == "memory.max" || file == "memory.high" || file == "pids.max") {
		return kernel.Unsupported("a limit of 0")
	}
	return err
}

// parseMax reads a number; nil for "max".
func parseMax(s string) (*uint64, error) {
	if s == "max" {
		return nil, nil
	}
	n, err := strconv.ParseUint(s, 10, 53)
	return &n, err
}

// unifiedCPUMax reads "QUOTA [PERIOD]".
func (l *Limits) unifiedCPUMax(value string) error {
	if !strings.Contains(value, " ") {
		value += " 100000"
	}
	quota, period, err := parseCPUMax(value)
	if err != nil {
		return err
	}
	l.CPUMax.Quota = time.Duration(orZero(quota)) * time.Microsecond
	l.CPUMax.Period = time.Duration(orZero(period)) * time.Microsecond
	return nil
}

func (l *Limits) unifiedIOMax(value string) error {
	lines, err := parseNested(value)
	if err != nil {
		return err
	}
	for _, device := range sortedKeys(lines) {
		var major, minor uint32
		if n, err := fmt.Sscanf(device+"\n", "%d:%d\n", &major, &minor); n != 2 || err != nil {
			return fmt.Errorf("device %q", device)
		}
		m := l.ioMax(major, minor)
		line := lines[device]
		for key, to := range map[string]*uint64{"rbps": &m.Rbps, "wbps": &m.Wbps, "riops": &m.Riops, "wiops": &m.Wiops} {
			if n, ok := line[key]; ok {
				*to = n
			}
		}
	}
	return nil
}
