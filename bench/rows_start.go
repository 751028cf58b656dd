package bench

import (
	"context"
	"errors"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/bench/load"
	"cellwall/reports/record"
	"cellwall/runtime/spec"
)

func startRows() []*Benchmark {
	return []*Benchmark{
		{
			Name: "start.exec", Unit: record.Seconds, Better: record.Lower,
			Doc:  "the time from asking for a container to the first instruction of its program",
			Open: measuring(toExec), ReadsClock: true,
		},
		{
			Name: "start.exit", Unit: record.Seconds, Better: record.Lower,
			Doc:  "the time from asking for a container to the end of its program, which does nothing",
			Open: measuring(toExit),
		},
		{
			Name: "start.create", Unit: record.Seconds, Better: record.Lower,
			Doc:  "the time to make a container up to where only its program is missing",
			Open: measuring(creating), Control: measuring(toExit),
		},
		{
			Name: "start.start", Unit: record.Seconds, Better: record.Lower,
			Doc:  "the time to start the program of a container that is made",
			Open: measuring(starting), Control: measuring(toExit),
		},
		{
			Name: "start.delete", Unit: record.Seconds, Better: record.Lower,
			Doc:  "the time to delete a container whose program has ended",
			Open: measuring(deleting), Control: measuring(toExit),
		},
		{
			Name: "start.exec-into", Unit: record.Seconds, Better: record.Lower, Floor: spec.Chroot,
			Doc:  "the time from asking for a program in a container that runs to its first instruction",
			Open: openInto, Control: measuring(toExec), ReadsClock: true,
		},
		{
			Name: "start.minimal", Unit: record.Seconds, Better: record.Lower, Floor: spec.Namespaces,
			Doc: "the time from asking for the container that limit.c makes (all namespaces, pivot_root, /proc, a cgroup, " +
				"nothing else whatever the rung) to when it is deleted",
			Open: openMinimal, Control: measuring(toExit), Limit: openLimit,
		},
	}
}

// toExec measures up to the program's first instruction, by the program's own reading of the clock.
func toExec(ctx context.Context, s *starter) (Value, error) {
	m := begin(s.delay(1))
	c, err := s.create(ctx)
	if err != nil {
		return Value{}, err
	}
	if err := c.Start(ctx); err != nil {
		return Value{}, remove(ctx, c, err)
	}
	clock, err := s.ended(ctx, c)
	v, end := m.endAt(clock), m.end()
	if err == nil && (v.Value < 0 || v.Value > end.Value) {
		err = errors.New("the program's clock is not ours: its container has an offset in its time namespace")
	}
	return v, remove(ctx, c, err)
}

func toExit(ctx context.Context, s *starter) (Value, error) {
	m := begin(s.delay(1))
	c, err := s.create(ctx)
	if err != nil {
		return Value{}, err
	}
	if err := c.Start(ctx); err != nil {
		return Value{}, remove(ctx, c, err)
	}
	_, err = c.Wait(ctx)
	v := m.end()
	if err == nil {
		_, err = s.ended(ctx, c)
	}
	return v, remove(ctx, c, err)
}

func creating(ctx context.Context, s *starter) (Value, error) {
	m := begin(s.delay(1))
	c, err := s.create(ctx)
	v := m.end()
	if err != nil {
		return Value{}, err
	}
	return v, remove(ctx, c, nil)
}

func starting(ctx context.Context, s *starter) (Value, error) {
	c, err := s.create(ctx)
	if err != nil {
		return Value{}, err
	}
	m := begin(s.delay(1))
	err = c.Start(ctx)
	v := m.end()
	if err == nil {
		_, err = s.ended(ctx, c)
	}
	return v, remove(ctx, c, err)
}

func deleting(ctx context.Context, s *starter) (Value, error) {
	c, err := s.create(ctx)
	if err != nil {
		return Value{}, err
	}
	if err = c.Start(ctx); err == nil {
		_, err = s.ended(ctx, c)
	}
	m := begin(s.delay(1))
	err = remove(ctx, c, err)
	return m.end(), err
}

// openMinimal measures the container of limit.c from nothing to nothing.
func openMinimal(_ context.Context, e *Env) (Sampler, error) {
	s, err := e.newStarter(minimal(e))
	if err != nil {
		return nil, err
	}
	return sampling{s, toDeleted}, nil
}

func toDeleted(ctx context.Context, s *starter) (Value, error) {
	m := begin(s.delay(1))
	c, err := s.create(ctx)
	if err != nil {
		return Value{}, err
	}
	if err = c.Start(ctx); err == nil {
		err = succeeded(c.Wait(ctx))
	}
	err = remove(ctx, c, err)
	return m.end(), err
}

// minimal turns the spec of any rung into the smallest container that is one: what limit.c makes too.
func minimal(e *Env) spec.Edit {
	return spec.Change("the container of limit.c", func(s *specs.Spec) {
		o := e.Options
		o.Rootfs, o.Args = e.Root, []string{"/" + load.True}
		small := spec.New(spec.Namespaces, o)
		small.Mounts, small.Hostname = small.Mounts[:1], ""
		spec.WithUserNamespace(o).Apply(small)
		small, _ = e.Runtime.Lacks().Apply(small)
		*s = *small
	})
}
