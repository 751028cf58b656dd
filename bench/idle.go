package bench

import (
	"context"
	"errors"
	"fmt"
	"os"

	"cellwall/bench/load"
	"cellwall/runtime/cleanup"
	"cellwall/runtime/driver"
	"cellwall/runtime/spec"
)

// idle is containers whose program waits until its input ends.
type idle struct {
	bundle     driver.Bundle
	containers []driver.Container
	undo       cleanup.Stack
}

// newIdle makes n idle containers of the rung with a runtime.
func (e *Env) newIdle(ctx context.Context, rt driver.Runtime, n int, edits ...spec.Edit) (_ *idle, err error) {
	i := &idle{}
	defer i.undo.OnError(&err)
	if i.bundle, err = e.bundle([]string{"/" + load.Idle}, edits...); err != nil {
		return nil, err
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe: %w", err)
	}
	i.undo.Push("close the pipe", func() error { return errors.Join(read.Close(), write.Close()) })
	i.bundle.Stdin = read
	for range n {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		c, err := rt.Create(ctx, e.again(i.bundle))
		if err != nil {
			return nil, fmt.Errorf("make idle container %d of %d: %w", len(i.containers)+1, n, err)
		}
		i.undo.Push("delete an idle container", func() error { return c.Delete(context.WithoutCancel(ctx)) })
		if err := c.Start(ctx); err != nil {
			return nil, fmt.Errorf("start idle container %d of %d: %w", len(i.containers)+1, n, err)
		}
		i.containers = append(i.containers, c)
	}
	return i, nil
}

func (i *idle) Close() error { return i.undo.Close() }
