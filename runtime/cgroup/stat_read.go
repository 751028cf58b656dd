package cgroup

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"cellwall/runtime/kernel"
)

// reader collects, from files of a group, numbers; what is not there goes to lacks.
type reader struct {
	g     *Group
	lacks []string
	err   error
}

// text reads a file of a controller's directory; name is v2's spelling, for lacks.
func (r *reader) text(d *dir, file, name string) (string, bool) {
	if r.err != nil {
		return "", false
	}
	if d == nil {
		r.lacks = append(r.lacks, name)
		return "", false
	}
	s, err := d.read(file)
	if errors.Is(err, kernel.ErrNotSupported) {
		if !d.has("cgroup.procs") { // not the file but the group is gone
			r.err = err
			return "", false
		}
		r.lacks = append(r.lacks, name)
		return "", false
	}
	r.err = err
	return s, err == nil
}

func (r *reader) number(d *dir, file, name string) uint64 {
	s, ok := r.text(d, file, name)
	if !ok {
		return 0
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		r.err = fmt.Errorf("parse %s: %w", file, err)
	}
	return n
}

// keyed reads a flat keyed file.
func (r *reader) keyed(d *dir, file, name string) map[string]uint64 {
	s, ok := r.text(d, file, name)
	if !ok {
		return nil
	}
	m, err := parseKeyed(s)
	if err != nil {
		r.err = fmt.Errorf("parse %s: %w", file, err)
	}
	return m
}

// pick moves keys to fields; a key that is not there is named in lacks.
func (r *reader) pick(m map[string]uint64, file string, to map[string]*uint64) {
	for _, key := range sortedKeys(to) {
		v, ok := m[key]
		if !ok && m != nil && r.err == nil {
			r.lacks = append(r.lacks, file+" "+key)
		}
		*to[key] = v
	}
}

// parseKeyed reads lines of a key and a number.
func parseKeyed(s string) (map[string]uint64, error) {
	m := map[string]uint64{}
	for line := range strings.SplitSeq(s, "\n") {
		key, value, ok := strings.Cut(line, " ")
		if line == "" {
			continue
		}
		if !ok {
			return nil, fmt.Errorf("line %q has no value", line)
		}
		n, err := strconv.ParseUint(value, 10, 64)
		if err != nil {
			return nil, err
		}
		m[key] = n
	}
	return m, nil
}

// parseNested reads lines of a device and key=value pairs, as in io.stat and io.max; "max" is 0.
func parseNested(s string) (map[string]map[string]uint64, error) {
	all := map[string]map[string]uint64{}
	for line := range strings.SplitSeq(s, "\n") {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		m := map[string]uint64{}
		for _, f := range fields[1:] {
			key, value, ok := strings.Cut(f, "=")
			if !ok {
				// io.stat may name a device without numbers before the next line's (6.1).
				if strings.Contains(f, ":") {
					continue
				}
				return nil, fmt.Errorf("line %q: no value for %q", line, f)
			}
			n, err := strconv.ParseUint(value, 10, 64)
			if err != nil && value != "max" {
				continue // io.stat has words and fractions of other policies (cost.usage)
			}
			m[key] = n
		}
		all[fields[0]] = m
	}
	return all, nil
}

// hugeSizes returns the sizes for which the hugetlb directory has files.
func (d *dir) hugeSizes() ([]string, error) {
	names, err := d.files()
	if err != nil {
		return nil, err
	}
	suffix := ".max"
	if !d.v2 {
		suffix = ".limit_in_bytes"
	}
	var sizes []string
	for _, name := range names {
		size, ok := strings.CutPrefix(name, "hugetlb.")
		if !ok {
			continue
		}
		if size, ok = strings.CutSuffix(size, suffix); ok && isHugeSize(size) {
			sizes = append(sizes, size)
		}
	}
	return sizes, nil
}

// Stat reads what the group uses.
func (g *Group) Stat() (Stat, error) {
	if err := g.use(); err != nil {
		return Stat{}, err
	}
	defer g.release()
	var s Stat
	r := &reader{g: g}
	s.CPU = r.cpu()
	s.Memory = r.memory()
	pids := g.dir("pids")
	s.Pids = PidsStat{Current: r.number(pids, "pids.current", "pids.current"), Peak: r.number(pids, "pids.peak", "pids.peak")}
	s.IO = r.io()
	if d := g.dir("hugetlb"); d == nil {
		r.lacks = append(r.lacks, "hugetlb")
	} else {
		s.Hugetlb = r.hugetlb(d, map[bool]string{true: ".current", false: ".usage_in_bytes"}[d.v2])
	}
	if r.err != nil {
		return Stat{}, fmt.Errorf("read statistics of cgroup %s: %w", g.name, r.err)
	}
	s.Lacks = r.lacks
	return s, nil
}

func (r *reader) hugetlb(d *dir, suffix string) map[string]uint64 {
	sizes, err := d.hugeSizes()
	if err != nil {
		r.err = err
		return nil
	}
	m := map[string]uint64{}
	for _, size := range sizes {
		m[size] = r.number(d, "hugetlb."+size+suffix, "hugetlb."+size+suffix)
	}
	return m
}

func (r *reader) cpu() CPUStat {
	var c CPUStat
	fields := map[string]*uint64{
		"nr_periods": &c.NrPeriods, "nr_throttled": &c.NrThrottled,
		"nr_bursts": &c.NrBursts, "burst_usec": &c.BurstUsec,
	}
	cpu := r.g.dir("cpu")
	if cpu == nil { // usage is counted in every v2 group
		r.lacks = append(r.lacks, "cpu")
		cpu = r.g.v2()
	}
	if cpu == nil || cpu.v2 {
		m := r.keyed(cpu, "cpu.stat", "cpu.stat")
		fields["usage_usec"], fields["user_usec"], fields["system_usec"] = &c.UsageUsec, &c.UserUsec, &c.SystemUsec
		fields["throttled_usec"] = &c.ThrottledUsec
		r.pick(m, "cpu.stat", fields)
		return c
	}
	m := r.keyed(cpu, "cpu.stat", "cpu.stat")
	for v1, v2 := range map[string]string{"throttled_time": "throttled_usec", "burst_time": "burst_usec"} {
		if n, ok := m[v1]; ok { // nanoseconds
			m[v2] = n / 1000
		}
	}
	fields["throttled_usec"] = &c.ThrottledUsec
	r.pick(m, "cpu.stat", fields)
	acct := r.g.dir("cpuacct")
	c.UsageUsec = r.number(acct, "cpuacct.usage", "cpu.stat usage_usec") / 1000
	c.UserUsec = r.number(acct, "cpuacct.usage_user", "cpu.stat user_usec") / 1000
	c.SystemUsec = r.number(acct, "cpuacct.usage_sys", "cpu.stat system_usec") / 1000
	return c
}

func (r *reader) memory() MemoryStat {
	d := r.g.dir("memory")
	if d == nil {
		r.lacks = append(r.lacks, "memory")
		return MemoryStat{}
	}
	m := MemoryStat{Stat: r.keyed(d, "memory.stat", "memory.stat")}
	if d.v2 {
		m.Current = r.number(d, "memory.current", "memory.current")
		m.Peak = r.number(d, "memory.peak", "memory.peak")
		m.SwapCurrent = r.number(d, "memory.swap.current", "memory.swap.current")
		return m
	}
	m.Current = r.number(d, "memory.usage_in_bytes", "memory.current")
	m.Peak = r.number(d, "memory.max_usage_in_bytes", "memory.peak")
	if n, ok := m.Stat["total_swap"]; ok {
		m.SwapCurrent = n
	} else if r.err == nil {
		r.lacks = append(r.lacks, "memory.swap.current")
	}
	return m
}

func (r *reader) io() map[string]IOStat {
	d := r.g.dir("io")
	if d == nil {
		r.lacks = append(r.lacks, "io")
		return nil
	}
	all := map[string]IOStat{}
	if d.v2 {
		s, _ := r.text(d, "io.stat", "io.stat")
		lines, err := parseNested(s)
		if err != nil {
			r.err = err
		}
		for device, m := range lines {
			all[device] = IOStat{Rbytes: m["rbytes"], Wbytes: m["wbytes"], Rios: m["rios"], Wios: m["wios"]}
		}
		return all
	}
	for _, file := range []string{"io_service_bytes", "io_serviced"} {
		s, _ := r.text(d, "blkio.throttle."+file+"_recursive", "io.stat")
		for line := range strings.SplitSeq(s, "\n") {
			f := strings.Fields(line) // "8:0 Read 4096"; the last line is "Total 4096"
			if len(f) != 3 {
				continue
			}
			n, err := strconv.ParseUint(f[2], 10, 64)
			if err != nil {
				r.err = fmt.Errorf("parse blkio.throttle.%s: %w", file, err)
			}
			st := all[f[0]]
			switch file + " " + f[1] {
			case "io_service_bytes Read":
				st.Rbytes = n
			case "io_service_bytes Write":
				st.Wbytes = n
			case "io_serviced Read":
				st.Rios = n
			case "io_serviced Write":
				st.Wios = n
			}
			all[f[0]] = st
		}
	}
	return all
}
