package bench

import (
	"context"
	"errors"
	"fmt"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/bench/load"
	"cellwall/reports/record"
	"cellwall/runtime/cgroup"
	"cellwall/runtime/spec"
)

func memoryRows() []*Benchmark {
	return []*Benchmark{
		{
			Name: "memory.available", Unit: record.Bytes, Better: record.Lower,
			Doc:  fmt.Sprintf("by how much MemAvailable of the host falls for an idle container, of %d at once", idleBatch),
			Open: openFootprint((*footprint).fallen),
		},
		{
			Name: "memory.cgroup", Unit: record.Bytes, Better: record.Lower, Controllers: []string{"memory"},
			Doc:  fmt.Sprintf("what an idle container's own cgroup counts, of %d at once", idleBatch),
			Open: openFootprint((*footprint).counted, withMemory(limitMost)), Control: measuring(toExit), ControlUnit: record.Seconds,
		},
		{
			Name: "memory.smallest", Unit: record.Bytes, Better: record.Lower, Controllers: []string{"memory"},
			Doc:  fmt.Sprintf("the smallest memory limit with which a static program that does nothing ends well, in steps of %d KiB", limitStep>>10),
			Open: openSmallest, Control: measuring(toExit), ControlUnit: record.Seconds,
		},
	}
}

// idleBatch is how many idle containers a sample makes: one alone is lost in what the host does besides,
// which may well free more than they take.
const idleBatch = 64

// footprint measures what idle containers take.
type footprint struct {
	*Env
	measure func(*footprint, context.Context) (float64, error)
	edits   []spec.Edit
}

func openFootprint(measure func(*footprint, context.Context) (float64, error), edits ...spec.Edit) func(context.Context, *Env) (Sampler, error) {
	return func(_ context.Context, e *Env) (Sampler, error) {
		if _, err := e.bundle([]string{"/" + load.Idle}, edits...); err != nil {
			return nil, err
		}
		return &footprint{Env: e, measure: measure, edits: edits}, nil
	}
}

func (f *footprint) Sample(ctx context.Context) (Value, error) {
	x, err := f.measure(f, ctx)
	return Value{Value: x + f.extra()}, err
}

func (f *footprint) Close() error { return nil }

// fallen is by how much less the host has for each.
func (f *footprint) fallen(ctx context.Context) (_ float64, err error) {
	before, err := settledMemory(ctx)
	if err != nil {
		return 0, err
	}
	all, err := f.newIdle(ctx, f.Runtime, idleBatch, f.edits...)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, all.Close()) }()
	after, err := availableMemory()
	return (float64(before) - float64(after)) / idleBatch, err
}

// counted is what the groups count for each.
func (f *footprint) counted(ctx context.Context) (_ float64, err error) {
	all, err := f.newIdle(ctx, f.Runtime, idleBatch, f.edits...)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, all.Close()) }()
	sum := uint64(0)
	for _, c := range all.containers {
		s, err := groupStat(c.Pid())
		if err != nil {
			return 0, err
		}
		sum += s.Memory.Current
	}
	return float64(sum) / idleBatch, nil
}

// groupStat reads what the group of a process uses.
func groupStat(pid int) (_ cgroup.Stat, err error) {
	g, err := cgroup.Open(pid)
	if err != nil {
		return cgroup.Stat{}, err
	}
	defer func() { err = errors.Join(err, g.Close()) }()
	return g.Stat()
}

// smallest finds the smallest memory limit that starts, by bisection.
type smallest struct{ *Env }

const (
	limitStep = 16 << 10 // bytes
	limitMost = 64 << 20
)

func openSmallest(ctx context.Context, e *Env) (Sampler, error) {
	s := &smallest{e}
	if _, err := s.bundle([]string{"/" + load.True}, withMemory(limitMost)); err != nil {
		return nil, err
	}
	if err := s.start(ctx, limitMost); err != nil {
		return nil, fmt.Errorf("start with %d MiB: %w", limitMost>>20, err)
	}
	return s, nil
}

func (s *smallest) Sample(ctx context.Context) (Value, error) {
	low, high := 0, limitMost/limitStep // it fails with low, and starts with high
	for high-low > 1 {
		mid := low + (high-low)/2
		if err := s.start(ctx, int64(mid)*limitStep); err == nil {
			high = mid
		} else if ctx.Err() != nil {
			return Value{}, ctx.Err()
		} else {
			low = mid
		}
	}
	return Value{Value: float64(high*limitStep) + s.extra()}, nil
}

func (s *smallest) Close() error { return nil }

// start makes a container with a memory limit in bytes, and is an error unless its program ends well.
func (s *smallest) start(ctx context.Context, limit int64) error {
	b, err := s.bundle([]string{"/" + load.True}, withMemory(limit))
	if err != nil {
		return err
	}
	return (&rate{Env: s.Env, bundle: b}).once(ctx)
}

// resources is the place for a limit.
func resources(s *specs.Spec) *specs.LinuxResources {
	if s.Linux.Resources == nil {
		s.Linux.Resources = &specs.LinuxResources{}
	}
	return s.Linux.Resources
}

// withMemory limits memory to so many bytes, and swap to none.
func withMemory(limit int64) spec.Edit {
	return spec.Change(fmt.Sprintf("a memory limit of %d bytes", limit), func(s *specs.Spec) {
		resources(s).Memory = &specs.LinuxMemory{Limit: &limit, Swap: &limit}
	})
}
