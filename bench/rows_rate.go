package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"cellwall/bench/load"
	"cellwall/reports/record"
	"cellwall/runtime/driver"
)

// rateRows are how many containers a second go from nothing to nothing, at several at a time.
func rateRows() []*Benchmark {
	var rows []*Benchmark
	for _, c := range []int{1, 2, 4, 8, 16} {
		rows = append(rows, &Benchmark{
			Name: fmt.Sprintf("rate.%d", c), Unit: record.PerSecond, Better: record.Higher,
			Doc: fmt.Sprintf("how many containers a second are made, started, waited for and deleted, %d at a time", c),
			Open: func(_ context.Context, e *Env) (Sampler, error) {
				b, err := e.bundle([]string{"/" + load.True})
				return &rate{Env: e, bundle: b, at: c}, err
			},
		})
	}
	return rows
}

// rate makes containers, some at a time.
type rate struct {
	*Env
	bundle driver.Bundle
	at     int
}

// starts is how many containers a sample makes: enough for all to be at work most of the time.
func (r *rate) starts() int { return max(8, 2*r.at) }

func (r *rate) Sample(ctx context.Context) (Value, error) {
	n := r.starts()
	turn := make(chan struct{}, n)
	for range n {
		turn <- struct{}{}
	}
	close(turn)
	errs := make([]error, r.at)
	var wait sync.WaitGroup
	m := begin(r.delay(n))
	for i := range r.at {
		wait.Go(func() {
			for range turn {
				if errs[i] = r.once(ctx); errs[i] != nil {
					return
				}
			}
		})
	}
	wait.Wait()
	v := m.end()
	v.Value = float64(n) / v.Value
	v.CPU /= float64(n)
	return v, errors.Join(errs...)
}

// once takes a container from nothing to nothing.
func (r *rate) once(ctx context.Context) error {
	c, err := r.Runtime.Create(ctx, r.again(r.bundle))
	if err != nil {
		return err
	}
	if err = c.Start(ctx); err == nil {
		err = succeeded(c.Wait(ctx))
	}
	return remove(ctx, c, err)
}

func (r *rate) Close() error { return nil }
