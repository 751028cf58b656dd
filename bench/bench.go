// Package bench is the catalogue of what is measured, as data, and how one sample of each row is taken.
//
// It knows nothing of statistics, of the order in which subjects take turns, or of who asks: a worker
// (package worker) opens rows for one runtime at one rung, and package runner lets workers take turns.
package bench

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"cellwall/reports/record"
	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
)

// Benchmark is one row: something that is measured.
type Benchmark struct {
	// Name is unique, the group first: "start.exec".
	Name   string
	Unit   record.Unit
	Better record.Better
	// Doc says in one sentence what a sample is. It completes "A sample is ...".
	Doc string
	// Needs are the gates without which there is no sample.
	Needs []*kernel.Feature
	// Controllers are the cgroup controllers that it needs.
	Controllers []string
	// Floor is the lowest rung at which it makes sense; empty is every one.
	Floor spec.Rung
	// Alone rows are measured one subject after another, each beside the control: what one of them
	// holds while it is open would change what the others measure.
	Alone bool
	// ReadsClock says that the program in the container reads CLOCK_MONOTONIC, and that its time is held against
	// the host's.
	ReadsClock bool
	// Open makes ready what every sample needs.
	Open func(context.Context, *Env) (Sampler, error)
	// Control is the same for the measure beside which the row is read: no container, on the same host
	// at the same time. Nil is Open with fork and exec in place of a runtime.
	Control func(context.Context, *Env) (Sampler, error)
	// ControlUnit is what the control's values are counted in; empty is Unit.
	ControlUnit record.Unit
	// Limit is the same for the C program of runtime/core/testdata/limit.c; nil where it has no part in it.
	Limit func(context.Context, *Env) (Sampler, error)
}

// Group is the part of the name before the dot.
func (b *Benchmark) Group() string {
	group, _, _ := strings.Cut(b.Name, ".")
	return group
}

// Sampler takes the samples of one row on one subject. It is used by one goroutine at a time.
type Sampler interface {
	Sample(context.Context) (Value, error)
	// Close undoes what Open has made.
	Close() error
}

// Value is one sample.
type Value struct {
	// Value is in the row's unit. For seconds it is time by the clock, without what the sampler does
	// before and behind what is measured.
	Value float64 `json:"value"`
	// CPU is the CPU time in seconds that the worker and the children that it has waited for took
	// meanwhile; inside rows count the load program's own. 0 where it is not counted.
	CPU float64 `json:"cpu"`
}

// All returns the rows in the order in which tables show them.
func All() []*Benchmark {
	return slices.Concat(startRows(), cacheRows(), processRows(), rateRows(), aliveRows(), memoryRows(), insideRows(), limitRows())
}

// Find returns the row of a name.
func Find(name string) (*Benchmark, error) {
	for _, b := range All() {
		if b.Name == name {
			return b, nil
		}
	}
	return nil, fmt.Errorf("no benchmark is named %.60q", name)
}

// Groups returns the groups in the order of All.
func Groups() []string {
	var groups []string
	for _, b := range All() {
		if !slices.Contains(groups, b.Group()) {
			groups = append(groups, b.Group())
		}
	}
	return groups
}

// Select returns the rows whose names match one of the globs, in the order of All. A glob that matches
// none is an error that lists the groups.
func Select(globs []string) ([]*Benchmark, error) {
	var rows []*Benchmark
	used := make([]bool, len(globs))
	for _, b := range All() {
		matched := false
		for i, glob := range globs {
			ok, err := path.Match(glob, b.Name)
			if err != nil {
				return nil, fmt.Errorf("%q: %w", glob, err)
			}
			used[i] = used[i] || ok
			matched = matched || ok
		}
		if matched {
			rows = append(rows, b)
		}
	}
	if at := slices.Index(used, false); at >= 0 {
		return nil, fmt.Errorf("%q matches no benchmark: the groups are %s", globs[at], strings.Join(Groups(), ".*, ")+".*")
	}
	return rows, nil
}
