package cgroup

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"cellwall/runtime/kernel"
)

// controllers returns, under v2's names, what the limits need.
func (l Limits) controllers() []string {
	var names []string
	for _, n := range []struct {
		name string
		set  bool
	}{
		{"memory", l.MemoryMax|l.MemoryHigh|l.MemoryMin|l.MemoryLow != 0 || l.SwapMax != nil || l.OOMGroup},
		{"cpu", l.CPUMax != CPUMax{} || l.CPUWeight|l.CPUShares != 0},
		{"cpuset", l.CPUs != "" || l.Mems != ""},
		{"pids", l.PidsMax != 0},
		{"io", l.IOWeight != 0 || len(l.IOMax) > 0},
		{"hugetlb", len(l.Hugetlb) > 0},
		{"devices", len(l.Devices) > 0},
	} {
		if n.set {
			names = append(names, n.name)
		}
	}
	for _, c := range l.Controllers {
		if !slices.Contains(names, c) {
			names = append(names, c)
		}
	}
	return names
}

// check refuses what no kernel would take, so that the message names the field.
func (l Limits) check() error {
	if l.CPUWeight > 10000 {
		return fmt.Errorf("check cpu.weight %d: want 1 to 10000", l.CPUWeight)
	}
	if l.CPUShares != 0 && (l.CPUShares < 2 || l.CPUShares > 262144) {
		return fmt.Errorf("check cpu.shares %d: want 2 to 262144", l.CPUShares)
	}
	if l.CPUShares != 0 && l.CPUWeight != 0 {
		return errors.New("check cpu.weight: give the weight or the shares, not both")
	}
	if l.IOWeight > 10000 {
		return fmt.Errorf("check io.weight %d: want 1 to 10000", l.IOWeight)
	}
	if err := l.CPUMax.check(); err != nil {
		return err
	}
	for file, list := range map[string]string{"cpuset.cpus": l.CPUs, "cpuset.mems": l.Mems} {
		members, err := kernel.ParseList(list)
		if err == nil && len(members) == 0 && list != "" {
			err = errors.New("it names none")
		}
		if err != nil {
			return fmt.Errorf("check %s %q: %w", file, list, err)
		}
	}
	for size := range l.Hugetlb {
		if !isHugeSize(size) {
			return fmt.Errorf("check hugetlb size %q: want the kernel's spelling, such as 2MB", size)
		}
	}
	for _, r := range l.Devices {
		if err := r.check(); err != nil {
			return err
		}
	}
	return nil
}

func (c CPUMax) check() error {
	// kernel/sched/core.c: min_cfs_quota_period, max_cfs_quota_period.
	switch {
	case c.Quota%time.Microsecond != 0 || c.Period%time.Microsecond != 0 || c.Burst%time.Microsecond != 0:
		return errors.New("check cpu.max: the kernel counts whole microseconds")
	case c.Quota != 0 && c.Quota < time.Millisecond:
		return fmt.Errorf("check cpu.max quota %v: want at least 1ms", c.Quota)
	case c.Period != 0 && (c.Period < time.Millisecond || c.Period > time.Second):
		return fmt.Errorf("check cpu.max period %v: want 1ms to 1s", c.Period)
	case c.Burst < 0 || c.Burst > c.Quota:
		return fmt.Errorf("check cpu.max.burst %v: want at most the quota, %v", c.Burst, c.Quota)
	}
	return nil
}

func isHugeSize(s string) bool {
	n := strings.TrimRight(s, "KMGB")
	_, err := strconv.ParseUint(n, 10, 32)
	return err == nil && slices.Contains([]string{"KB", "MB", "GB"}, s[len(n):])
}

// SharesFromWeight converts a cpu.weight to the cpu.shares of v1 on the kernel's own scale:
// sched_weight_from_cgroup, 100 is 1024.
func SharesFromWeight(weight uint64) uint64 {
	return max(2, (weight*1024+50)/100)
}

func sharesToWeight(shares uint64) uint64 {
	return min(10000, max(1, (shares*100+512)/1024))
}

// WeightFromShares converts OCI's cpu.shares (2 to 262144) to a cpu.weight (1 to 10000) as runc
// and crun do since 2025: a curve through 2 and 1, 1024 and 100, 262144 and 10000. Source:
// https://github.com/opencontainers/cgroups, ConvertCPUSharesToCgroupV2Value.
func WeightFromShares(shares uint64) uint64 {
	switch {
	case shares == 0:
		return 0
	case shares <= 2:
		return 1
	case shares >= 262144:
		return 10000
	}
	l := math.Log2(float64(shares))
	return uint64(math.Ceil(math.Pow(10, (l*l+125*l)/612-7.0/34)))
}

// OCI's blkio weight, which is also BFQ's, is 10 to 1000; io.weight is 1 to 10000. The line
// through both ends is the one that crun documents.
func ioWeightFromBFQ(w uint64) uint64 { return 1 + (w-10)*9999/990 }

// BFQWeight converts an io.weight to the weight that blkio has on v1.
func BFQWeight(w uint64) uint64 { return 10 + ((w-1)*990+9998)/9999 }
