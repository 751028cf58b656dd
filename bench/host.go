package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/driver"
	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
)

// HostName is how records name the runtime of controls.
const HostName = "host"

// Host is fork and exec in the place of a runtime: the program runs on the host, with nothing around it.
// It is what controls are measured with.
func Host() driver.Runtime { return host{} }

type host struct{}

func (host) Name() string { return HostName }

func (host) Version(context.Context) (string, error) {
	facts, err := kernel.Facts()
	return facts.Release, err
}

func (host) Floor() spec.Rung              { return spec.Bare }
func (host) Lacks() spec.Edits             { return nil }
func (host) Expresses(driver.Bundle) error { return nil }

// Create makes nothing: there is only the program, and Start starts it.
func (host) Create(_ context.Context, b driver.Bundle) (driver.Container, error) {
	return &hosted{bundle: b, done: make(chan struct{})}, nil
}

// hosted is a program on the host.
type hosted struct {
	bundle  driver.Bundle
	process *os.Process
	wait    sync.Once
	done    chan struct{}
	status  driver.Status
	err     error
}

func (h *hosted) Pid() int {
	if h.process == nil {
		return 0
	}
	return h.process.Pid
}

func (h *hosted) Start(context.Context) error {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("start a program: %w", err)
	}
	files := []*os.File{h.bundle.Stdin, h.bundle.Stdout, h.bundle.Stderr}
	for i, f := range files {
		if f == nil {
			files[i] = null
		}
	}
	argv := h.bundle.Spec.Process.Args
	h.process, err = os.StartProcess(argv[0], argv, &os.ProcAttr{Files: files, Env: h.bundle.Spec.Process.Env, Sys: &syscall.SysProcAttr{Setpgid: true}})
	if err := errors.Join(err, null.Close()); err != nil {
		return fmt.Errorf("start %s: %w", argv[0], err)
	}
	return nil
}

func (h *hosted) Wait(ctx context.Context) (driver.Status, error) {
	if h.process == nil {
		return driver.Status{}, errors.New("wait for a program that was not started")
	}
	stop := context.AfterFunc(ctx, func() { _ = h.process.Kill() })
	defer stop()
	h.wait.Do(h.reap)
	return h.status, h.err
}

// reap waits for the program's end.
func (h *hosted) reap() {
	defer close(h.done)
	state, err := h.process.Wait()
	if err != nil {
		h.err = fmt.Errorf("wait for %d: %w", h.process.Pid, err)
		return
	}
	h.status = driver.Status{Code: state.ExitCode(), CPU: state.SystemTime() + state.UserTime()}
	if w, ok := state.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		h.status.Signal = w.Signal()
	}
}

func (h *hosted) Kill(sig unix.Signal) error {
	if h.process == nil {
		return os.ErrProcessDone
	}
	return h.process.Signal(sig)
}

func (h *hosted) Delete(ctx context.Context) error {
	if h.process == nil {
		return nil
	}
	if err := h.Kill(unix.SIGKILL); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	_, err := h.Wait(ctx)
	return err
}

func (h *hosted) State() specs.State { return specs.State{ID: h.bundle.ID, Pid: h.Pid()} }
