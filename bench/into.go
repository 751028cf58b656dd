package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/bench/load"
	"cellwall/runtime/cleanup"
	"cellwall/runtime/core"
	"cellwall/runtime/driver"
	"cellwall/runtime/kernel"
)

// joiner starts a program in a container that runs, and waits for its end.
type joiner func(ctx context.Context, stdout *os.File) error

// into is an idle container, and a way into it.
type into struct {
	*starter
	join joiner
	idle *idle
}

func openInto(ctx context.Context, e *Env) (_ Sampler, err error) {
	s, err := e.newStarter()
	if err != nil {
		return nil, err
	}
	i := &into{starter: s}
	defer func() {
		if err != nil {
			err = errors.Join(err, i.Close())
		}
	}()
	if i.idle, err = e.newIdle(ctx, e.Runtime, 1); err != nil {
		return nil, err
	}
	i.join, err = e.joiner(i.idle.containers[0], i.idle.bundle.Spec, &s.undo)
	return i, err
}

func (i *into) Sample(ctx context.Context) (Value, error) {
	m := begin(i.delay(1))
	if err := i.join(ctx, i.bundle.Stdout); err != nil {
		return Value{}, err
	}
	end := m.end()
	clock, err := readClock(i.said)
	v := m.endAt(clock)
	if err == nil && (v.Value < 0 || v.Value > end.Value) {
		err = errors.New("the program's clock is not ours: its container has an offset in its time namespace")
	}
	v.CPU = end.CPU
	return v, err
}

func (i *into) Close() error {
	err := i.starter.Close()
	if i.idle != nil {
		err = errors.Join(i.idle.Close(), err)
	}
	return err
}

// joiner finds the way into a container: the core's own, or the exec command of an OCI runtime.
func (e *Env) joiner(c driver.Container, s *specs.Spec, undo *cleanup.Stack) (joiner, error) {
	type execer interface {
		Exec(ctx context.Context, p *specs.Process, stdin, stdout, stderr *os.File) (*core.Process, error)
	}
	if c, ok := c.(execer); ok {
		return func(ctx context.Context, stdout *os.File) error {
			p, err := c.Exec(ctx, core.DefaultProcess(s, []string{"/" + load.Clock}), nil, stdout, nil)
			if err != nil {
				return err
			}
			status, err := p.Wait(ctx)
			return errors.Join(succeeded(driver.Status{Code: status.Code, Signal: status.Signal}, err), p.Close())
		}, nil
	}
	path, err := e.ociProgram()
	if err != nil {
		return nil, err
	}
	t, err := e.newTerminal()
	if err != nil {
		return nil, err
	}
	undo.Push("leave the mount namespace", t.close)
	state := c.State()
	return func(ctx context.Context, stdout *os.File) error {
		// "state" is where package driver has it, below the bundle.
		cmd := exec.CommandContext(ctx, path, "--root", filepath.Join(state.Bundle, "state"), "exec", state.ID, "/"+load.Clock)
		cmd.Stdout = stdout
		return t.run(cmd)
	}, nil
}

// ociProgram is the program of an OCI runtime; anything else has no commands that it could be asked.
func (e *Env) ociProgram() (string, error) {
	name, path, _ := strings.Cut(e.Asked, "=")
	if p, ok := strings.CutPrefix(e.Asked, "oci:"); ok {
		name, path = "oci", p
	}
	if !slices.Contains([]string{"runc", "crun", "oci"}, name) {
		return "", kernel.Unsupported("%s has not the commands of an OCI runtime", e.Runtime.Name())
	}
	if path == "" {
		path = name
	}
	found, err := exec.LookPath(path)
	if err != nil {
		return "", fmt.Errorf("find %s: %w", name, err)
	}
	return found, nil
}
