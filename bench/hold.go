package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"cellwall/runtime/cleanup"
	"cellwall/runtime/spec"
)

// WorkerCommand is the hidden command of cellwall that takes samples, and holds containers.
const WorkerCommand = "bench-worker"

// held is what a holder says when its containers are alive.
const held = "held"

// Hold makes n idle containers of a rung with the core, says so, and keeps them until its input ends. It is a
// process of its own: what it holds open is copied to no child of the one that measures.
func Hold(ctx context.Context, in io.Reader, out io.Writer, leases string, rung spec.Rung, n int) (err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(io.Discard, in)
		stop()
	}()
	place, err := NewPlace(leases)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, place.Close()) }()
	e := &Env{Place: place, Runtime: place.Core, Asked: place.Core.Name(), Rung: rung}
	all, err := e.newIdle(ctx, e.Runtime, n)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, all.Close()) }()
	if _, err := fmt.Fprintln(out, held); err != nil {
		return fmt.Errorf("say that they are alive: %w", err)
	}
	<-ended
	return nil
}

// holder is a process that holds containers.
type holder struct{ undo cleanup.Stack }

// hold starts a holder and waits until its containers are alive.
func (e *Env) hold(ctx context.Context, rung spec.Rung, n int) (_ *holder, err error) {
	h := &holder{}
	defer h.undo.OnError(&err)
	program, err := e.program()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(program, WorkerCommand, "--rung", string(rung), "--hold", strconv.Itoa(n))
	var said strings.Builder
	cmd.Stderr = &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt of the terminal is not for it
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("hold containers: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("hold containers: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("hold containers: %w", err)
	}
	h.undo.Push("let go of the containers", func() error {
		_ = in.Close() // it ends with its input
		if err := cmd.Wait(); err != nil {
			return fmt.Errorf("%w: it wrote %.300q", err, strings.TrimSpace(said.String()))
		}
		return nil
	})
	stop := context.AfterFunc(ctx, func() { _ = in.Close() })
	defer stop()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err == nil && strings.TrimSpace(line) != held {
		err = fmt.Errorf("the holder says %.60q", line)
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("hold containers: %w", err)
	}
	return h, nil
}

func (h *holder) close() error { return h.undo.Close() }

// program is the cellwall whose commands are run.
func (e *Env) program() (string, error) {
	if e.Program != "" {
		return e.Program, nil
	}
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find this program: %w", err)
	}
	return self, nil
}
