package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"cellwall/bench/load"
	"cellwall/runtime/cleanup"
)

// limit is runtime/core/testdata/limit.c, running: it makes a container for each line that it reads, and
// answers with the nanoseconds that it took.
type limit struct {
	*Env
	in   io.Writer
	out  *bufio.Reader
	said strings.Builder
	undo cleanup.Stack
}

func openLimit(_ context.Context, e *Env) (_ Sampler, err error) {
	l := &limit{Env: e}
	defer l.undo.OnError(&err)
	cmd := exec.Command(e.Limit, l.args()...)
	cmd.Stderr = &l.said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt of the terminal is the worker's
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start the C limit: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start the C limit: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the C limit: %w", err)
	}
	l.in, l.out = in, bufio.NewReader(out)
	l.undo.Push("end the C limit", func() error {
		_ = in.Close() // it ends with its input
		if err := cmd.Wait(); err != nil {
			return fmt.Errorf("%w: it wrote %.200q", err, l.said.String())
		}
		return nil
	})
	return l, nil
}

// args are ROOTFS PROGRAM UID V2DIR|- V1DIR...
func (l *limit) args() []string {
	v2, v1 := "-", []string{}
	for _, h := range l.Fence.Hierarchies() {
		// Those that the core makes for a container without limits, no more.
		counts := func(controller string) bool {
			return slices.Contains([]string{"cpu", "cpuacct", "memory", "pids"}, controller)
		}
		switch {
		case h.V2:
			v2 = h.Path
		case slices.ContainsFunc(strings.Split(h.Name, ","), counts):
			v1 = append(v1, h.Path)
		}
	}
	return append([]string{l.Root, "/" + load.True, strconv.FormatUint(uint64(l.Options.HostID), 10), v2}, v1...)
}

// Sample has no CPU time: the program is not waited for.
func (l *limit) Sample(context.Context) (Value, error) {
	m := begin(l.delay(1))
	planted := m.end().Value
	if _, err := fmt.Fprintln(l.in); err != nil {
		return Value{}, fmt.Errorf("ask the C limit: %w", err)
	}
	line, err := l.out.ReadString('\n')
	if err != nil {
		return Value{}, errors.Join(fmt.Errorf("the C limit has ended: %w", err), l.undo.Close())
	}
	ns, err := strconv.ParseInt(strings.TrimSpace(line), 10, 64)
	if err != nil {
		return Value{}, fmt.Errorf("the C limit says %.40q: %w", line, err)
	}
	return Value{Value: planted + time.Duration(ns).Seconds()}, nil
}

func (l *limit) Close() error { return l.undo.Close() }
