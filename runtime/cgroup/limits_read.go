package cgroup

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Limits reads the limits from the kernel. CPUWeight is what the kernel has, also its default of
// 100; CPUShares is always 0, v1's shares are given as CPUWeight. CPUMax is zero without a
// quota. Devices are read from v1; on v2 they are those that were given, and nil for a view.
func (g *Group) Limits() (Limits, error) {
	if err := g.use(); err != nil {
		return Limits{}, err
	}
	defer g.release()
	g.mu.Lock()
	given := g.limits.Devices
	g.mu.Unlock()
	var l Limits
	r := &reader{g: g}
	r.readMemory(&l)
	r.readCPU(&l)
	r.readIO(&l)
	if d := g.dir("cpuset"); d != nil {
		l.CPUs, _ = r.text(d, "cpuset.cpus", "")
		l.Mems, _ = r.text(d, "cpuset.mems", "")
	}
	if d := g.dir("pids"); d != nil {
		l.PidsMax = orZero(r.limit(d, "pids.max"))
	}
	if d := g.dir("hugetlb"); d != nil {
		r.readHugetlb(&l, d)
	}
	if d := g.v2(); d != nil {
		l.MaxDescendants = r.limit(d, "cgroup.max.descendants")
		l.MaxDepth = r.limit(d, "cgroup.max.depth")
	}
	if d := g.dir("devices"); d != nil {
		if list, ok := r.text(d, "devices.list", ""); ok && !strings.HasPrefix(list, "a ") {
			l.Devices, r.err = parseDeviceList(list)
			if len(l.Devices) == 0 { // nothing allowed, which is not the same as no rules
				l.Devices = []DeviceRule{{Type: "a", Access: "rwm"}}
			}
		}
	} else {
		l.Devices = given
	}
	if r.err != nil {
		return Limits{}, fmt.Errorf("read limits of cgroup %s: %w", g.name, r.err)
	}
	return l, nil
}

// limit reads a number; nil where it is "max" or v1's large number, or where there is no file.
func (r *reader) limit(d *dir, file string) *uint64 {
	s, ok := r.text(d, file, "")
	if !ok || s == "max" || s == "-1" {
		return nil
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		r.err = fmt.Errorf("parse %s: %w", file, err)
		return nil
	}
	if n >= noLimitV1 { // also hugetlb of 1GB on v2
		return nil
	}
	return &n
}

func orZero(n *uint64) uint64 {
	if n == nil {
		return 0
	}
	return *n
}

func (r *reader) readMemory(l *Limits) {
	d := r.g.dir("memory")
	if d == nil {
		return
	}
	if !d.v2 {
		l.MemoryMax = orZero(r.limit(d, "memory.limit_in_bytes"))
		l.MemoryLow = orZero(r.limit(d, "memory.soft_limit_in_bytes"))
		if sum := r.limit(d, "memory.memsw.limit_in_bytes"); sum != nil && *sum >= l.MemoryMax {
			swap := *sum - l.MemoryMax
			l.SwapMax = &swap
		}
		return
	}
	l.MemoryMax = orZero(r.limit(d, "memory.max"))
	l.MemoryHigh = orZero(r.limit(d, "memory.high"))
	l.MemoryMin = orZero(r.limit(d, "memory.min"))
	l.MemoryLow = orZero(r.limit(d, "memory.low"))
	l.SwapMax = r.limit(d, "memory.swap.max")
	l.OOMGroup = orZero(r.limit(d, "memory.oom.group")) == 1
}

func (r *reader) readCPU(l *Limits) {
	d := r.g.dir("cpu")
	if d == nil {
		return
	}
	var quota, period, burst *uint64
	if d.v2 {
		l.CPUWeight = orZero(r.limit(d, "cpu.weight"))
		s, ok := r.text(d, "cpu.max", "")
		if !ok {
			return // the root
		}
		var err error
		if quota, period, err = parseCPUMax(s); err != nil && r.err == nil {
			r.err = err
		}
		burst = r.limit(d, "cpu.max.burst")
	} else {
		if shares := orZero(r.limit(d, "cpu.shares")); shares != 0 {
			l.CPUWeight = sharesToWeight(shares)
		}
		quota, period, burst = r.limit(d, "cpu.cfs_quota_us"), r.limit(d, "cpu.cfs_period_us"), r.limit(d, "cpu.cfs_burst_us")
	}
	if quota == nil {
		return
	}
	us := func(n *uint64) time.Duration { return time.Duration(orZero(n)) * time.Microsecond }
	l.CPUMax = CPUMax{Quota: us(quota), Period: us(period), Burst: us(burst)}
}

// parseCPUMax reads "QUOTA PERIOD" of cpu.max, in microseconds; a quota of "max" is nil.
func parseCPUMax(s string) (quota, period *uint64, err error) {
	q, p, ok := strings.Cut(s, " ")
	if !ok {
		return nil, nil, fmt.Errorf("parse cpu.max %q: %w", s, errors.New("want a quota and a period"))
	}
	n, err := strconv.ParseUint(p, 10, 32)
	if err != nil {
		return nil, nil, fmt.Errorf("parse cpu.max: %w", err)
	}
	if q == "max" {
		return nil, &n, nil
	}
	m, err := strconv.ParseUint(q, 10, 53) // beyond that a time.Duration overflows
	if err != nil {
		return nil, nil, fmt.Errorf("parse cpu.max: %w", err)
	}
	return &m, &n, nil
}

func (r *reader) readIO(l *Limits) {
	d := r.g.dir("io")
	if d == nil {
		return
	}
	found := map[string]*IOMax{}
	device := func(name string) *IOMax {
		m := found[name]
		if m == nil {
			m = &IOMax{}
			if n, err := fmt.Sscanf(name, "%d:%d", &m.Major, &m.Minor); n != 2 && r.err == nil {
				r.err = fmt.Errorf("parse block device %q: %w", name, err)
			}
			found[name] = m
		}
		return m
	}
	if d.v2 {
		s, _ := r.text(d, "io.max", "")
		lines, err := parseNested(s)
		if err != nil && r.err == nil {
			r.err = err
		}
		for name, line := range lines {
			m := device(name)
			m.Rbps, m.Wbps, m.Riops, m.Wiops = line["rbps"], line["wbps"], line["riops"], line["wiops"]
		}
	} else {
		for i, t := range throttles(IOMax{}) {
			for name, limit := range r.keyed(d, "blkio.throttle."+t.file, "") {
				m := device(name)
				*[]*uint64{&m.Rbps, &m.Wbps, &m.Riops, &m.Wiops}[i] = limit
			}
		}
	}
	for _, name := range sortedKeys(found) {
		l.IOMax = append(l.IOMax, *found[name])
	}
	for _, file := range []string{"io.weight", "io.bfq.weight", "blkio.bfq.weight"} {
		if !d.has(file) {
			continue
		}
		s, _ := r.text(d, file, "")
		first, _, _ := strings.Cut(s, "\n")
		n, err := strconv.ParseUint(strings.TrimPrefix(first, "default "), 10, 32)
		if err != nil && r.err == nil {
			r.err = fmt.Errorf("parse %s: %w", file, err)
		}
		if file != "io.weight" && n >= 10 {
			n = ioWeightFromBFQ(n)
		}
		l.IOWeight = n
		return
	}
}

func (r *reader) readHugetlb(l *Limits, d *dir) {
	sizes, err := d.hugeSizes()
	if err != nil {
		r.err = err
		return
	}
	suffix := map[bool]string{true: ".max", false: ".limit_in_bytes"}[d.v2]
	for _, size := range sizes {
		if n := r.limit(d, "hugetlb."+size+suffix); n != nil {
			if l.Hugetlb == nil {
				l.Hugetlb = map[string]uint64{}
			}
			l.Hugetlb[size] = *n
		}
	}
}
