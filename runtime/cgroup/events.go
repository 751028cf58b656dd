package cgroup

import (
	"fmt"
	"maps"
	"slices"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// Events reads the counters of what has happened to the group.
func (g *Group) Events() (Events, error) {
	if err := g.use(); err != nil {
		return Events{}, err
	}
	defer g.release()
	var e Events
	r := &reader{g: g}
	e.Memory = r.memoryEvents()
	if m := r.keyed(g.dir("pids"), "pids.events", "pids.events"); m != nil {
		r.pick(m, "pids.events", map[string]*uint64{"max": &e.PidsMax})
	}
	e.Hugetlb = r.hugetlbEvents()
	switch d := g.v2(); {
	case d == nil:
		e.Populated, e.Frozen = r.stateV1()
	case d.isRoot():
		e.Populated = true // the root has no cgroup.events
		r.lacks = append(r.lacks, "cgroup.events")
	default:
		m := r.keyed(d, "cgroup.events", "cgroup.events")
		e.Populated, e.Frozen = m["populated"] == 1, m["frozen"] == 1
	}
	if r.err != nil {
		return Events{}, fmt.Errorf("read events of cgroup %s: %w", g.name, r.err)
	}
	e.Lacks = r.lacks
	return e, nil
}

func (r *reader) memoryEvents() MemoryEvents {
	var m MemoryEvents
	d := r.g.dir("memory")
	switch {
	case d == nil:
		r.lacks = append(r.lacks, "memory")
	case d.v2:
		r.pick(r.keyed(d, "memory.events", "memory.events"), "memory.events", map[string]*uint64{
			"low": &m.Low, "high": &m.High, "max": &m.Max, "oom": &m.OOM,
			"oom_kill": &m.OOMKill, "oom_group_kill": &m.OOMGroupKill,
		})
	default:
		// A charge fails at one of two counters: memory and swap together comes first.
		m.Max = r.number(d, "memory.failcnt", "memory.events max")
		if d.has("memory.memsw.failcnt") {
			m.Max += r.number(d, "memory.memsw.failcnt", "memory.events max")
		}
		control := r.keyed(d, "memory.oom_control", "memory.events oom_kill")
		r.pick(control, "memory.events", map[string]*uint64{"oom_kill": &m.OOMKill})
		r.lacks = append(r.lacks, "memory.events low", "memory.events high", "memory.events oom", "memory.events oom_group_kill")
	}
	return m
}

func (r *reader) hugetlbEvents() map[string]uint64 {
	d := r.g.dir("hugetlb")
	if d == nil {
		r.lacks = append(r.lacks, "hugetlb")
		return nil
	}
	if !d.v2 {
		return r.hugetlb(d, ".failcnt")
	}
	sizes, err := d.hugeSizes()
	if err != nil {
		r.err = err
	}
	all := map[string]uint64{}
	for _, size := range sizes {
		file := "hugetlb." + size + ".events"
		var n uint64
		r.pick(r.keyed(d, file, file), file, map[string]*uint64{"max": &n})
		all[size] = n
	}
	return all
}

func (r *reader) stateV1() (populated, frozen bool) {
	procs, err := r.g.procs()
	if err != nil {
		r.err = err
	}
	state, _ := r.text(r.g.dir("freezer"), "freezer.state", "cgroup.events frozen")
	return len(procs) > 0, state == "FROZEN"
}
