package cgroup

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cellwall/runtime/kernel"
)

var errView = errors.New("the group was opened for reading")

// Set makes l the limits of the group: those that an earlier Set or Create gave and that l does
// not have are taken off. Each is read back; a value that the kernel did not take is an error,
// after which the group may have some of the limits. A limit that the group's hierarchies cannot
// express wraps kernel.ErrNotSupported.
func (g *Group) Set(l Limits) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.view {
		return fmt.Errorf("limit cgroup %s: %w", g.name, errView)
	}
	if g.closed {
		return fmt.Errorf("limit cgroup %s: %w", g.name, errClosed)
	}
	if err := l.check(); err != nil {
		return fmt.Errorf("limit cgroup %s: %w", g.name, err)
	}
	if err := g.set(l); err != nil {
		return fmt.Errorf("limit cgroup %s: %w", g.name, err)
	}
	return nil
}

func (g *Group) set(l Limits) error {
	all, err := g.settings(l)
	if err != nil {
		return err
	}
	for _, s := range all {
		d := g.dir(s.controller)
		if d == nil {
			return g.lacks(s.controller)
		}
		if err := d.apply(s); err != nil {
			return err
		}
	}
	if err := g.setDevices(l.Devices); err != nil {
		return err
	}
	g.limits = l
	return nil
}

// settings takes from each list what its hierarchy has, and refuses the rest.
func (g *Group) settings(l Limits) ([]setting, error) {
	var all []setting
	for _, s := range l.settingsV2(g.limits) {
		switch d := g.dir(s.controller); {
		case d == nil && s.controller == "":
			return nil, kernel.Unsupported("%s on cgroup v1", s.file)
		case d == nil:
			return nil, g.lacks(s.controller)
		case d.v2:
			all = append(all, s)
		default:
			if err := l.lacksV1(s.controller); err != nil {
				return nil, err
			}
		}
	}
	for _, s := range l.settingsV1(g.limits) {
		if d := g.dir(s.controller); d != nil && !d.v2 {
			all = append(all, s)
		}
	}
	if d := g.dir("memory"); d != nil && !d.v2 {
		memory, err := l.memoryV1(g.limits, d)
		if err != nil {
			return nil, err
		}
		all = append(all, memory...)
	}
	if l.IOWeight|g.limits.IOWeight != 0 {
		weights, err := g.ioWeight(l.IOWeight)
		if err != nil {
			return nil, err
		}
		all = append(all, weights...)
	}
	if d := g.dir("cpuset"); d != nil && !d.v2 {
		// v1 has no empty list: back to what the parent has.
		p := g.parents[slices.Index(g.dirs, d)]
		for _, s := range []struct{ file, now, old string }{
			{"cpuset.mems", l.Mems, g.limits.Mems},
			{"cpuset.cpus", l.CPUs, g.limits.CPUs},
		} {
			if s.now != "" || s.old == "" {
				continue
			}
			value, err := p.read(s.file)
			if err != nil {
				return nil, err
			}
			all = append(all, setting{controller: "cpuset", file: s.file, value: value, took: sameList})
		}
	}
	return all, nil
}

// ioWeight picks the files: io.weight is there with the iocost controller, the others with BFQ.
// Which of both a device obeys is its own affair, so where both are there both are set.
func (g *Group) ioWeight(weight uint64) ([]setting, error) {
	d := g.dir("io")
	if d == nil {
		return nil, g.lacks("io")
	}
	if weight == 0 {
		weight = 100
	}
	var all []setting
	for _, file := range []string{"io.weight", "io.bfq.weight", "blkio.bfq.weight"} {
		if !d.has(file) {
			continue
		}
		value := weight
		if file != "io.weight" {
			value = BFQWeight(weight)
		}
		all = append(all, setting{controller: "io", file: file, value: strconv.FormatUint(value, 10), took: func(wrote, read string) bool {
			first, _, _ := strings.Cut(read, "\n")
			return strings.TrimPrefix(first, "default ") == wrote
		}})
	}
	if len(all) > 0 {
		return all, nil
	}
	return nil, kernel.Unsupported("io.weight in %s: it needs the iocost controller or BFQ", d.path)
}

// apply writes a setting and reads it back.
func (d *dir) apply(s setting) error {
	if err := d.write(s.file, s.value); err != nil {
		return err
	}
	from := s.file
	if s.from != "" {
		from = s.from
	}
	read, err := d.read(from)
	if err != nil {
		return err
	}
	if s.took == nil && s.value != read || s.took != nil && !s.took(s.value, read) {
		return fmt.Errorf("write %q to %s/%s: %s is %q", s.value, d.path, s.file, from, read)
	}
	return nil
}

func (d *dir) number(file string) (uint64, error) {
	s, err := d.read(file)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("parse %s/%s: %w", d.path, file, err)
	}
	return n, nil
}
