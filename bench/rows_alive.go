package bench

import (
	"context"
	"errors"
	"fmt"

	"cellwall/reports/record"
	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
)

// aliveRows are the start of a container while others live. These are idle ones of the core, whatever the
// runtime, and another process's: what grows with them is the kernel's work. The C program is there to show how
// much that is at least; its samples end when its container is deleted.
func aliveRows() []*Benchmark {
	var rows []*Benchmark
	for _, n := range []int{0, 100, 1000} {
		rows = append(rows, &Benchmark{
			Name: fmt.Sprintf("alive.%d", n), Unit: record.Seconds, Better: record.Lower, Alone: true,
			Doc: fmt.Sprintf("the time from asking for a container to the first instruction of its program while %d others are alive", n),
			Open: func(ctx context.Context, e *Env) (Sampler, error) {
				return beside(ctx, e, n, e.Rung, measuring(toExec))
			},
			Control: measuring(toExec),
			Limit: func(ctx context.Context, e *Env) (Sampler, error) {
				return beside(ctx, e, n, spec.Hardened, openLimit) // its own rung is that of the host
			},
		})
	}
	return rows
}

// aliveMemory is what an idle container is taken to cost at most, in bytes: ten times what it does.
const aliveMemory = 4 << 20

// alive is a sampler beside idle containers.
type alive struct {
	Sampler
	holder *holder
}

// beside opens a sampler beside n idle containers of a rung.
func beside(ctx context.Context, e *Env, n int, rung spec.Rung, open func(context.Context, *Env) (Sampler, error)) (Sampler, error) {
	available, err := availableMemory()
	if err != nil {
		return nil, err
	}
	const others = 64 // tasks besides
	switch {
	case uint64(n)*aliveMemory > available:
		return nil, kernel.Unsupported("%d containers may take %d MiB, and the host has %d MiB left", n, n*aliveMemory>>20, available>>20)
	case uint64(n)+others > e.Bounds.PidsMax:
		return nil, kernel.Unsupported("%d containers are more tasks than the fence allows (%d)", n, e.Bounds.PidsMax)
	}
	s, err := open(ctx, e)
	if err != nil || n == 0 {
		return s, err
	}
	h, err := e.hold(ctx, rung, n)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return &alive{Sampler: s, holder: h}, nil
}

func (a *alive) Close() error { return errors.Join(a.holder.close(), a.Sampler.Close()) }
