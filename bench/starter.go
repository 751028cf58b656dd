package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"cellwall/bench/load"
	"cellwall/runtime/cleanup"
	"cellwall/runtime/driver"
	"cellwall/runtime/spec"
)

// starter makes containers of one bundle, one after another, whose program is load.Clock.
type starter struct {
	*Env
	bundle driver.Bundle
	said   *os.File // what the program writes
	undo   cleanup.Stack
}

func (e *Env) newStarter(edits ...spec.Edit) (_ *starter, err error) {
	s := &starter{Env: e}
	defer s.undo.OnError(&err)
	if s.bundle, err = e.bundle([]string{"/" + load.Clock}, edits...); err != nil {
		return nil, err
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe: %w", err)
	}
	s.said, s.bundle.Stdout = read, write
	s.undo.Push("close the program's output", write.Close)
	s.undo.Push("close the pipe", read.Close)
	return s, nil
}

func (s *starter) Close() error { return s.undo.Close() }

// create makes the next container.
func (s *starter) create(ctx context.Context) (driver.Container, error) {
	return s.Runtime.Create(ctx, s.again(s.bundle))
}

// ended waits for the program's end and returns the time of its first instruction.
func (s *starter) ended(ctx context.Context, c driver.Container) (int64, error) {
	if err := succeeded(c.Wait(ctx)); err != nil {
		return 0, err
	}
	return readClock(s.said)
}

// succeeded is an error unless a program has ended as it should.
func succeeded(status driver.Status, err error) error {
	switch {
	case err != nil:
		return err
	case status.Signal != 0:
		return fmt.Errorf("the program was killed by %s", unix.SignalName(status.Signal))
	case status.Code != 0:
		return fmt.Errorf("the program ended with status %d", status.Code)
	}
	return nil
}

// readClock reads the time that load.Clock has written. It has ended, so there is nothing to wait for.
func readClock(from *os.File) (int64, error) {
	var b [load.ClockBytes]byte
	if err := from.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
		return 0, fmt.Errorf("read the program's clock: %w", err)
	}
	if _, err := io.ReadFull(from, b[:]); err != nil {
		return 0, fmt.Errorf("read the program's clock: %w", err)
	}
	sec, nsec := binary.NativeEndian.Uint64(b[:8]), binary.NativeEndian.Uint64(b[8:])
	return int64(sec)*int64(time.Second) + int64(nsec), nil
}

// remove deletes a container and joins what fails to err.
func remove(ctx context.Context, c driver.Container, err error) error {
	return errors.Join(err, c.Delete(context.WithoutCancel(ctx)))
}

// measure is a row's region of a container's life.
type measure func(context.Context, *starter) (Value, error)

// sampling is a starter and the region that it is to measure.
type sampling struct {
	*starter
	measure measure
}

func (s sampling) Sample(ctx context.Context) (Value, error) { return s.measure(ctx, s.starter) }

// measuring opens a row that measures a region of the life of a container.
func measuring(m measure) func(context.Context, *Env) (Sampler, error) {
	return func(_ context.Context, e *Env) (Sampler, error) {
		s, err := e.newStarter()
		if err != nil {
			return nil, err
		}
		return sampling{s, m}, nil
	}
}
