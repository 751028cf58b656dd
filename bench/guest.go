package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"cellwall/bench/load"
	"cellwall/runtime/cleanup"
	"cellwall/runtime/driver"
	"cellwall/runtime/spec"
)

// Guest is a container with a load program in it, and the talk with that.
type Guest struct {
	Container driver.Container

	in     *os.File // to the program; it ends when this does
	out    *bufio.Reader
	reader *os.File // of out
	errs   *os.File // what it writes to standard error
	undo   cleanup.Stack
}

// Launch starts a load program in a container with edits and waits until it is ready. ready is how many
// operations the program says a request should ask for.
func (e *Env) Launch(ctx context.Context, name string, args []string, edits ...spec.Edit) (_ *Guest, ready int, err error) {
	g := &Guest{}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.Close())
		}
	}()
	b, err := e.bundle(append([]string{"/" + load.Program, name}, args...), edits...)
	if err != nil {
		return nil, 0, err
	}
	if err := g.start(ctx, e.Runtime, b); err != nil {
		return nil, 0, err
	}
	a, err := g.listen(ctx)
	if err != nil {
		return nil, 0, fmt.Errorf("load %s: %w", name, err)
	}
	if a.Ready < 1 {
		return nil, 0, fmt.Errorf("load %s: it does not say that it is ready", name)
	}
	return g, a.Ready, nil
}

func (g *Guest) start(ctx context.Context, rt driver.Runtime, b driver.Bundle) error {
	inRead, inWrite, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("make a pipe: %w", err)
	}
	g.in = inWrite
	g.undo.Push("close the program's input", inWrite.Close)
	outRead, outWrite, err := os.Pipe()
	if err != nil {
		return errors.Join(fmt.Errorf("make a pipe: %w", err), inRead.Close())
	}
	g.reader, g.out = outRead, bufio.NewReader(outRead)
	g.undo.Push("close the program's output", outRead.Close)
	errRead, errWrite, err := os.Pipe()
	if err != nil {
		return errors.Join(fmt.Errorf("make a pipe: %w", err), inRead.Close(), outWrite.Close())
	}
	g.errs = errRead
	g.undo.Push("close the program's errors", errRead.Close)
	b.Stdin, b.Stdout, b.Stderr = inRead, outWrite, errWrite
	g.Container, err = rt.Create(ctx, b)
	if err == nil {
		g.undo.Push("delete the container", func() error { return g.Container.Delete(context.WithoutCancel(ctx)) })
		err = g.Container.Start(ctx)
	}
	// The container alone holds its ends now, so that its end is ours.
	if closed := errors.Join(inRead.Close(), outWrite.Close(), errWrite.Close()); err == nil {
		err = closed
	}
	return err
}

// Ask sends a request and waits for its reply.
func (g *Guest) Ask(ctx context.Context, r load.Request) (load.Reply, error) {
	if err := g.send(r); err != nil {
		return load.Reply{}, err
	}
	return g.listen(ctx)
}

func (g *Guest) send(r load.Request) error {
	line, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("ask the load: %w", err)
	}
	if _, err := g.in.Write(append(line, '\n')); err != nil {
		return g.silence(fmt.Errorf("ask the load: %w", err))
	}
	return nil
}

// listen reads the next reply.
func (g *Guest) listen(ctx context.Context) (load.Reply, error) {
	stop := context.AfterFunc(ctx, func() { _ = g.reader.SetReadDeadline(time.Now()) })
	defer stop()
	line, err := g.out.ReadBytes('\n')
	switch {
	case err != nil && ctx.Err() != nil:
		return load.Reply{}, fmt.Errorf("the load gives no answer: %w", ctx.Err())
	case err != nil:
		return load.Reply{}, g.silence(err)
	}
	var a load.Reply
	if err := json.Unmarshal(line, &a); err != nil {
		return load.Reply{}, fmt.Errorf("the load says %.60q", line)
	}
	if a.Error != "" {
		return a, errors.New(a.Error)
	}
	return a, nil
}

// silence says why a load has ended.
func (g *Guest) silence(cause error) error {
	const wait = 100 * time.Millisecond // what it wrote before its end is there already
	if err := g.errs.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return err
	}
	said, _ := io.ReadAll(io.LimitReader(g.errs, 1<<10))
	if text := strings.TrimSpace(string(said)); text != "" {
		return fmt.Errorf("the load has ended: it wrote %.300q", text)
	}
	return fmt.Errorf("the load has ended: %w", cause)
}

// Close ends the program and deletes its container.
func (g *Guest) Close() error { return g.undo.Close() }
