package cgroup

import (
	"errors"
	"fmt"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/kernel"
)

// LimitsFromSpec reads linux.resources of an OCI spec: v1's words and, after them and with the
// last word, Unified. -1 is no limit. What Limits has no word for (realtime, swappiness, network
// classes, RDMA, weights for one device, TCP buffers) wraps kernel.ErrNotSupported and is named. Kernel
// memory limits are passed over: no kernel enforces them any more. nil gives no limits.
func LimitsFromSpec(r *specs.LinuxResources) (Limits, error) {
	var l Limits
	if r == nil {
		return l, nil
	}
	for _, read := range []func(*specs.LinuxResources) error{
		l.specMemory, l.specCPU, l.specPidsAndPages, l.specIO, l.specDevices, l.specUnified,
	} {
		if err := read(r); err != nil {
			return Limits{}, fmt.Errorf("read linux.resources: %w", err)
		}
	}
	if err := l.check(); err != nil {
		return Limits{}, fmt.Errorf("read linux.resources: %w", err)
	}
	return l, nil
}

// size reads one of OCI's signed sizes: 0 and -1 are no limit.
func size(field string, n *int64, to *uint64) error {
	switch {
	case n == nil || *n == 0 || *n == -1:
		return nil
	case *n < -1:
		return fmt.Errorf("%s is %d", field, *n)
	}
	*to = uint64(*n)
	return nil
}

func (l *Limits) specMemory(r *specs.LinuxResources) error {
	m := r.Memory
	if m == nil {
		return nil
	}
	var sum uint64
	err := errors.Join(size("memory.limit", m.Limit, &l.MemoryMax),
		size("memory.reservation", m.Reservation, &l.MemoryLow), size("memory.swap", m.Swap, &sum))
	switch {
	case err != nil:
		return err
	case m.Swappiness != nil:
		return kernel.Unsupported("memory.swappiness")
	case m.KernelTCP != nil && *m.KernelTCP > 0:
		return kernel.Unsupported("memory.kernelTCP")
	case m.DisableOOMKiller != nil && *m.DisableOOMKiller:
		return kernel.Unsupported("memory.disableOOMKiller")
	case sum == 0:
		return nil
	case l.MemoryMax == 0:
		return errors.New("memory.swap is memory and swap together: it needs memory.limit")
	case sum < l.MemoryMax:
		return fmt.Errorf("memory.swap %d is memory and swap together: it is below memory.limit %d", sum, l.MemoryMax)
	}
	swap := sum - l.MemoryMax
	l.SwapMax = &swap
	return nil
}

func (l *Limits) specCPU(r *specs.LinuxResources) error {
	c := r.CPU
	if c == nil {
		return nil
	}
	if c.RealtimeRuntime != nil && *c.RealtimeRuntime != 0 || c.RealtimePeriod != nil && *c.RealtimePeriod != 0 {
		return kernel.Unsupported("cpu.realtimeRuntime")
	}
	if c.Idle != nil && *c.Idle != 0 {
		return kernel.Unsupported("cpu.idle")
	}
	l.CPUs, l.Mems = c.Cpus, c.Mems
	l.CPUShares = orZero(c.Shares)
	if l.CPUShares == 1 {
		l.CPUShares = 2 // the kernel's own clamp
	}
	var quota uint64
	if err := size("cpu.quota", c.Quota, &quota); err != nil {
		return err
	}
	var err error
	if l.CPUMax.Quota, err = usecs("cpu.quota", quota); err != nil {
		return err
	}
	if l.CPUMax.Period, err = usecs("cpu.period", orZero(c.Period)); err != nil {
		return err
	}
	l.CPUMax.Burst, err = usecs("cpu.burst", orZero(c.Burst))
	return err
}

func usecs(field string, n uint64) (time.Duration, error) {
	if n > 1<<53 {
		return 0, fmt.Errorf("%s is %d", field, n)
	}
	return time.Duration(n) * time.Microsecond, nil
}

func (l *Limits) specPidsAndPages(r *specs.LinuxResources) error {
	// In runtime-spec 1.3 a limit of 0 is not none; the kernel then lets nothing fork.
	if r.Pids != nil && r.Pids.Limit != nil && *r.Pids.Limit == 0 {
		return kernel.Unsupported("pids.limit of 0")
	}
	if r.Pids != nil {
		if err := size("pids.limit", r.Pids.Limit, &l.PidsMax); err != nil {
			return err
		}
	}
	for _, h := range r.HugepageLimits {
		l.addHuge(h.Pagesize, h.Limit)
	}
	if n := r.Network; n != nil && (n.ClassID != nil && *n.ClassID != 0 || len(n.Priorities) > 0) {
		return kernel.Unsupported("network")
	}
	if len(r.Rdma) > 0 {
		return kernel.Unsupported("rdma")
	}
	return nil
}

func (l *Limits) addHuge(size string, limit uint64) {
	if l.Hugetlb == nil {
		l.Hugetlb = map[string]uint64{}
	}
	l.Hugetlb[size] = limit
}

func (l *Limits) specIO(r *specs.LinuxResources) error {
	b := r.BlockIO
	if b == nil {
		return nil
	}
	if len(b.WeightDevice) > 0 {
		return kernel.Unsupported("blockIO.weightDevice")
	}
	if b.LeafWeight != nil && *b.LeafWeight != 0 {
		return kernel.Unsupported("blockIO.leafWeight")
	}
	if b.Weight != nil && *b.Weight != 0 {
		if *b.Weight < 10 || *b.Weight > 1000 {
			return fmt.Errorf("blockIO.weight is %d: want 10 to 1000", *b.Weight)
		}
		l.IOWeight = ioWeightFromBFQ(uint64(*b.Weight))
	}
	for _, list := range []struct {
		devices []specs.LinuxThrottleDevice
		field   func(*IOMax) *uint64
	}{
		{b.ThrottleReadBpsDevice, func(m *IOMax) *uint64 { return &m.Rbps }},
		{b.ThrottleWriteBpsDevice, func(m *IOMax) *uint64 { return &m.Wbps }},
		{b.ThrottleReadIOPSDevice, func(m *IOMax) *uint64 { return &m.Riops }},
		{b.ThrottleWriteIOPSDevice, func(m *IOMax) *uint64 { return &m.Wiops }},
	} {
		for _, d := range list.devices {
			if d.Major < 0 || d.Minor < 0 || d.Major > 1<<20 || d.Minor > 1<<20 {
				return fmt.Errorf("blockIO: device %d:%d", d.Major, d.Minor)
			}
			*list.field(l.ioMax(uint32(d.Major), uint32(d.Minor))) = d.Rate
		}
	}
	return nil
}

func (l *Limits) ioMax(major, minor uint32) *IOMax {
	for i := range l.IOMax {
		if m := &l.IOMax[i]; m.Major == major && m.Minor == minor {
			return m
		}
	}
	l.IOMax = append(l.IOMax, IOMax{Major: major, Minor: minor})
	return &l.IOMax[len(l.IOMax)-1]
}

func (l *Limits) specDevices(r *specs.LinuxResources) error {
	for _, d := range r.Devices {
		l.Devices = append(l.Devices, DeviceRule{Allow: d.Allow, Type: d.Type, Major: d.Major, Minor: d.Minor, Access: d.Access})
	}
	return nil
}
