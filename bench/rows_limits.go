package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/bench/load"
	"cellwall/reports/record"
	"cellwall/runtime/cleanup"
	"cellwall/runtime/driver"
	"cellwall/runtime/spec"
)

// limitRows are what happens at a limit of memory, and of tasks.
func limitRows() []*Benchmark {
	var rows []*Benchmark
	rows = append(rows, throttleRows()...)
	for _, mib := range []int{16, 64, 256} {
		rows = append(rows, &Benchmark{
			Name: fmt.Sprintf("oom.%d-mib", mib), Unit: record.Seconds, Better: record.Lower, Controllers: []string{"memory"},
			Doc: fmt.Sprintf("the time from the touch of the page that is beyond a memory limit of %d MiB until the container's init, "+
				"killed for it, is reaped", mib),
			Open: openHog(mib), Control: measuring(toExit),
		})
	}
	for _, n := range []int{16, 64, 256} {
		rows = append(rows, &Benchmark{
			Name: fmt.Sprintf("pids.%d", n), Unit: record.Ratio, Better: record.One, Controllers: []string{"pids"},
			Doc:  fmt.Sprintf("how many tasks a container forks until it can no more, over its limit of %d", n),
			Open: openFill(n), Control: measuring(toExit), ControlUnit: record.Seconds,
		})
	}
	return rows
}

// hogging is a load that takes memory beyond its limit, and the page on which it says when.
type hogging struct {
	*Env
	bundle driver.Bundle
	page   []byte
	undo   cleanup.Stack
}

func openHog(mib int) func(context.Context, *Env) (Sampler, error) {
	return func(_ context.Context, e *Env) (_ Sampler, err error) {
		h := &hogging{Env: e}
		defer h.undo.OnError(&err)
		limit := int64(mib) << 20
		const beyond = 2 // times the limit, which no run reaches
		args := []string{"/" + load.Program, load.Hog, strconv.FormatInt(beyond*limit, 10)}
		if h.bundle, err = e.bundle(args, withMemory(limit)); err != nil {
			return nil, err
		}
		fd, err := unix.MemfdCreate("clock", unix.MFD_CLOEXEC)
		if err != nil {
			return nil, fmt.Errorf("make a page to share: %w", err)
		}
		h.bundle.Stdout = os.NewFile(uintptr(fd), "clock")
		h.undo.Push("close the page", h.bundle.Stdout.Close)
		if err := unix.Ftruncate(fd, int64(os.Getpagesize())); err != nil {
			return nil, fmt.Errorf("make a page to share: %w", err)
		}
		if h.page, err = unix.Mmap(fd, 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
			return nil, fmt.Errorf("map a page to share: %w", err)
		}
		h.undo.Push("unmap the page", func() error { return unix.Munmap(h.page) })
		return h, nil
	}
}

func (h *hogging) Sample(ctx context.Context) (Value, error) {
	binary.NativeEndian.PutUint64(h.page, 0) // and the page is ours to pay for
	c, err := h.Runtime.Create(ctx, h.again(h.bundle))
	if err != nil {
		return Value{}, err
	}
	var status driver.Status
	if err = c.Start(ctx); err == nil {
		status, err = c.Wait(ctx)
	}
	spin(monotonic(), h.delay(1))
	end := monotonic()
	touched := int64(binary.NativeEndian.Uint64(h.page))
	switch {
	case err != nil:
	case status.Signal != unix.SIGKILL:
		err = fmt.Errorf("the load was not killed at its memory limit: status %d, signal %d", status.Code, status.Signal)
	case touched == 0 || touched > end:
		err = errors.New("the load does not say when it touched its last page")
	}
	return Value{Value: time.Duration(end - touched).Seconds()}, remove(ctx, c, err)
}

func (h *hogging) Close() error { return h.undo.Close() }

// filling forks tasks up to the limit.
type filling struct {
	*Env
	n int
}

func openFill(n int) func(context.Context, *Env) (Sampler, error) {
	return func(_ context.Context, e *Env) (Sampler, error) {
		_, err := e.bundle([]string{"/" + load.Fill}, withPids(n))
		return &filling{e, n}, err
	}
}

// withPids limits the number of tasks.
func withPids(n int) spec.Edit {
	return spec.Change(fmt.Sprintf("a limit of %d tasks", n), func(s *specs.Spec) {
		limit := int64(n)
		resources(s).Pids = &specs.LinuxPids{Limit: &limit}
	})
}

func (f *filling) Sample(ctx context.Context) (_ Value, err error) {
	limit := f.n + int(float64(f.n)*f.planted.Share+0.5)
	b, err := f.bundle([]string{"/" + load.Fill}, withPids(limit))
	if err != nil {
		return Value{}, err
	}
	g := &Guest{}
	defer func() { err = errors.Join(err, g.Close()) }()
	if err := g.start(ctx, f.Runtime, b); err != nil {
		return Value{}, err
	}
	stop := context.AfterFunc(ctx, func() { _ = g.reader.SetReadDeadline(time.Now()) })
	defer stop()
	var forked [8]byte
	if _, err := io.ReadFull(g.out, forked[:]); err != nil {
		return Value{}, fmt.Errorf("wait until no more tasks can be forked: %w", err)
	}
	s, err := groupStat(g.Container.Pid())
	if err != nil {
		return Value{}, err
	}
	if own := binary.NativeEndian.Uint64(forked[:]) + 1; s.Pids.Current != own {
		return Value{}, fmt.Errorf("the load has %d tasks and its cgroup counts %d", own, s.Pids.Current)
	}
	return Value{Value: float64(s.Pids.Current) / float64(f.n)}, nil
}

func (f *filling) Close() error { return nil }
