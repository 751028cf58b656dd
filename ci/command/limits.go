package command

import (
	"errors"
	"math"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// cpuPeriod is the kernel's default, in microseconds. It takes no quota of less than a hundredth of that.
const (
	cpuPeriod = 100_000
	leastCPUs = 0.01
)

func (f *containerFlags) limit(s *specs.Spec) error {
	if f.memory == "" && f.cpus == 0 && f.pids == 0 {
		return nil
	}
	if s.Linux.Resources == nil {
		s.Linux.Resources = &specs.LinuxResources{}
	}
	r := s.Linux.Resources
	if f.memory != "" {
		bytes, err := parseSize(f.memory)
		if err != nil {
			return misuse("--memory %q: %w", f.memory, err)
		}
		swap := bytes // the sum of both, in OCI's words: none beyond the memory
		r.Memory = &specs.LinuxMemory{Limit: &bytes, Swap: &swap}
	}
	if f.cpus != 0 {
		if !(f.cpus >= leastCPUs && f.cpus <= 4096) {
			return misuse("--cpus %v: want a number of CPUs, %v or more", f.cpus, leastCPUs)
		}
		quota, period := int64(f.cpus*cpuPeriod), uint64(cpuPeriod)
		r.CPU = &specs.LinuxCPU{Quota: &quota, Period: &period}
	}
	if f.pids < 0 {
		return misuse("--pids %d: want a number of tasks", f.pids)
	}
	if f.pids > 0 {
		limit := int64(f.pids)
		r.Pids = &specs.LinuxPids{Limit: &limit}
	}
	return nil
}

// parseSize reads bytes with an optional unit of 1024: "83886080", "80M", "1.5G".
func parseSize(text string) (int64, error) {
	units := map[string]float64{"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
	upper := strings.TrimSuffix(strings.TrimSuffix(strings.ToUpper(text), "B"), "I")
	number := strings.TrimRight(upper, "KMGT")
	unit, ok := units[upper[len(number):]]
	value, err := strconv.ParseFloat(number, 64)
	if !ok || err != nil || value <= 0 || value*unit >= math.MaxInt64 || math.IsNaN(value) {
		return 0, errors.New("want a size such as 83886080, 80M or 1.5G")
	}
	return int64(value * unit), nil
}
