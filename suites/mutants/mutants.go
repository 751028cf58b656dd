// Package mutants tests the judge: runtimes that are deliberately weak, and attackers and
// runtimes that lie, each of which the suites must report as what it is.
//
// It holds no code of its own but these runtimes; everything else is in its tests.
package mutants

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/cgroup"
	"cellwall/runtime/driver"
	"cellwall/runtime/spec"
)

// Weak is a runtime that drops or adds something in every spec that it is given, and says
// nothing of it.
type Weak struct {
	driver.Runtime
	Edit spec.Edit
}

// Name tells it from the runtime that it spoils.
func (w Weak) Name() string { return "weak: with " + w.Edit.Name }

// Expresses claims, as a careless runtime does, that it can do everything.
func (w Weak) Expresses(driver.Bundle) error { return nil }

// Create makes a container of the weakened spec.
func (w Weak) Create(ctx context.Context, b driver.Bundle) (driver.Container, error) {
	s, omit := spec.Edits{w.Edit}.Apply(b.Spec)
	b.Spec, b.Omit = s, append(omit, b.Omit...)
	return w.Runtime.Create(ctx, b)
}

// Scripted is a runtime that makes no container at all: a shell on the host runs Script in
// place of the attacker, with the attack's name, target and token as $1, $2 and $3. It lets a
// test say exactly what the judge hears.
type Scripted struct {
	Script string
}

// Name says what it is.
func (Scripted) Name() string { return "scripted" }

// Version is of no interest.
func (Scripted) Version(context.Context) (string, error) { return "1", nil }

// Floor is the ground.
func (Scripted) Floor() spec.Rung { return spec.Bare }

// Lacks nothing.
func (Scripted) Lacks() spec.Edits { return nil }

// Expresses never refuses.
func (Scripted) Expresses(driver.Bundle) error { return nil }

// Create starts the shell, which waits in the fence for its start.
func (r Scripted) Create(ctx context.Context, b driver.Bundle) (driver.Container, error) {
	group, err := b.Parent.Create(b.ID, cgroup.Limits{})
	if err != nil {
		return nil, err
	}
	join := `for d in $CELLWALL_GROUPS; do echo $$ >"$d/cgroup.procs"; done; unset CELLWALL_GROUPS; `
	args := append([]string{"-c", join + r.Script}, b.Spec.Process.Args...)
	cmd := exec.CommandContext(ctx, "/bin/sh", args...)
	for _, h := range group.Hierarchies() {
		cmd.Env = append(cmd.Env, h.Path)
	}
	cmd.Env = []string{"CELLWALL_GROUPS=" + joinPaths(cmd.Env)}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = b.Stdin, b.Stdout, b.Stderr
	return &scriptedContainer{cmd: cmd, group: group, id: b.ID, done: make(chan struct{})}, nil
}

func joinPaths(paths []string) string {
	joined := ""
	for _, p := range paths {
		joined += " " + filepath.Clean(p)
	}
	return joined
}

type scriptedContainer struct {
	cmd    *exec.Cmd
	group  *cgroup.Group
	id     string
	status driver.Status
	done   chan struct{}
}

func (c *scriptedContainer) Pid() int {
	if c.cmd.Process == nil {
		return 0
	}
	return c.cmd.Process.Pid
}

func (c *scriptedContainer) Start(context.Context) error {
	if err := c.cmd.Start(); err != nil {
		return fmt.Errorf("start the script: %w", err)
	}
	go func() {
		defer close(c.done)
		err := c.cmd.Wait()
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			c.status.Code = exit.ExitCode()
		}
	}()
	return nil
}

func (c *scriptedContainer) Wait(ctx context.Context) (driver.Status, error) {
	select {
	case <-c.done:
		return c.status, nil
	case <-ctx.Done():
		return driver.Status{}, ctx.Err()
	}
}

func (c *scriptedContainer) Kill(sig unix.Signal) error { return c.cmd.Process.Signal(sig) }

func (c *scriptedContainer) Delete(ctx context.Context) error {
	if c.cmd.Process != nil {
		if err := c.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return err
		}
		<-c.done
	}
	return errors.Join(c.group.Kill(ctx), c.group.Close())
}

func (c *scriptedContainer) State() specs.State {
	return specs.State{Version: specs.Version, ID: c.id, Annotations: map[string]string{"pid": strconv.Itoa(c.Pid())}}
}

// Idle is a runtime that reports success without running anything.
type Idle struct{}

// Name says what it is.
func (Idle) Name() string { return "idle" }

// Version is of no interest.
func (Idle) Version(context.Context) (string, error) { return "1", nil }

// Floor is the ground.
func (Idle) Floor() spec.Rung { return spec.Bare }

// Lacks nothing.
func (Idle) Lacks() spec.Edits { return nil }

// Expresses never refuses.
func (Idle) Expresses(driver.Bundle) error { return nil }

// Create makes nothing.
func (Idle) Create(context.Context, driver.Bundle) (driver.Container, error) { return idle{}, nil }

type idle struct{}

func (idle) Pid() int                                    { return 0 }
func (idle) Start(context.Context) error                 { return nil }
func (idle) Wait(context.Context) (driver.Status, error) { return driver.Status{}, nil }
func (idle) Kill(unix.Signal) error                      { return os.ErrProcessDone }
func (idle) Delete(context.Context) error                { return nil }
func (idle) State() specs.State                          { return specs.State{} }

// Leaky is a runtime that says that it has deleted a container and leaves something on the
// host: what Leak makes. It is called once a container.
type Leaky struct {
	driver.Runtime
	Leak func(driver.Bundle) error
}

// Name tells it from the runtime that it spoils.
func (l Leaky) Name() string { return "leaky" }

// Create makes a container that leaks at its deletion.
func (l Leaky) Create(ctx context.Context, b driver.Bundle) (driver.Container, error) {
	c, err := l.Runtime.Create(ctx, b)
	return leakyContainer{c, func() error { return l.Leak(b) }}, err
}

type leakyContainer struct {
	driver.Container
	leak func() error
}

func (c leakyContainer) Delete(ctx context.Context) error {
	return errors.Join(c.Container.Delete(ctx), c.leak())
}
