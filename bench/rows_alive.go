package bench

import (
	"context"
	"errors"
	"fmt"

	"cellwall/reports/record"
	"cellwall/runtime/kernel"
)

// aliveRows are the start of a container while others live. These are idle ones of the core, whatever the
// runtime, and another process's: what grows with them is the kernel's work.
func aliveRows() []*Benchmark {
	var rows []*Benchmark
	for _, n := range []int{0, 100, 1000} {
		rows = append(rows, &Benchmark{
			Name: fmt.Sprintf("alive.%d", n), Unit: record.Seconds, Better: record.Lower, Alone: true,
			Doc: fmt.Sprintf("the time from asking for a container to the first instruction of its program while %d others are alive", n),
			Open: func(ctx context.Context, e *Env) (Sampler, error) {
				return openAlive(ctx, e, n)
			},
			Control: measuring(toExec),
		})
	}
	return rows
}

// aliveMemory is what an idle container is taken to cost at most, in bytes: ten times what it does.
const aliveMemory = 4 << 20

// alive is a starter beside idle containers.
type alive struct {
	sampling
	holder *holder
}

func openAlive(ctx context.Context, e *Env, n int) (Sampler, error) {
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
	s, err := e.newStarter()
	if err != nil {
		return nil, err
	}
	a := &alive{sampling: sampling{s, toExec}}
	if n == 0 {
		return a, nil
	}
	if a.holder, err = e.hold(ctx, n); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return a, nil
}

func (a *alive) Close() error {
	if a.holder == nil {
		return a.sampling.Close()
	}
	return errors.Join(a.holder.close(), a.sampling.Close())
}
