package driver

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/cgroup"
)

// launch is a command of the engine's.
func (c *engineContainer) launch(args ...string) launch {
	return launch{
		argv: slices.Concat([]string{c.path}, c.global(c), args), env: append(os.Environ(), c.env(c.dir)...),
		from: c.from(), group: c.manager,
	}
}

// call runs a command, and returns what it has written. Its error has what it says is wrong.
func (c *engineContainer) call(ctx context.Context, l launch) (out, errs string, err error) {
	stdout, err := inMemory("stdout", nil)
	if err != nil {
		return "", "", err
	}
	defer stdout.Close() //nolint:errcheck // in memory
	stderr, err := inMemory("stderr", nil)
	if err != nil {
		return "", "", err
	}
	defer stderr.Close() //nolint:errcheck // in memory
	l.stdout, l.stderr = stdout, stderr
	err = l.run(ctx)
	out, errs = head(stdout), head(stderr)
	if err == nil {
		return out, errs, nil
	}
	verb := l.argv[len(c.launch().argv)]
	if errs != "" {
		return out, errs, fmt.Errorf("%s %s: %s (%w)", c.name, verb, errs, err)
	}
	return out, errs, fmt.Errorf("%s %s: %w", c.name, verb, err)
}

// head is what a file begins with, as one line.
func head(f *os.File) string {
	raw, err := io.ReadAll(io.NewSectionReader(f, 0, maxSaid))
	if err != nil {
		return ""
	}
	return inOneLine(string(raw))
}

// bounded runs a command that goes on when the caller's context has ended.
func (c *engineContainer) bounded(args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	_, _, err := c.call(ctx, c.launch(args...))
	return err
}

// engineState is what both engines say of a container.
type engineState struct {
	Status        string
	Pid, ExitCode int
	StartedAt     time.Time // its zero value before
}

func (c *engineContainer) inspect(ctx context.Context) (s engineState, err error) {
	out, _, err := c.call(ctx, c.launch("container", "inspect", "--format", "{{json .State}}", c.id))
	if err != nil {
		return s, err
	}
	return parseState(c.name, out)
}

func parseState(engine, text string) (s engineState, err error) {
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return engineState{}, fmt.Errorf("%s container inspect: read the state: %w", engine, err)
	}
	if s.Status == "" || s.Pid < 0 || s.Pid == 1 {
		return engineState{}, fmt.Errorf("%s container inspect: status %.40q, process %d", engine, s.Status, s.Pid)
	}
	return s, nil
}

func (s engineState) began() bool { return s.StartedAt.Year() > 1 }

func (s engineState) runs() bool { return s.Status == "running" || s.Status == "paused" }

// errNoWord stands for the error of a client that has ended without one.
var errNoWord = errors.New("exit status 0")

// Pid is 0 until the container has begun, where a daemon makes its processes then.
func (c *engineContainer) Pid() int {
	if c.init == nil {
		return 0
	}
	return c.init.pid
}

// Start returns when the program has started: the kernel says so where init was there before, as it executes another
// program then, and elsewhere the engine, which is asked once the container has a cgroup.
func (c *engineContainer) Start(ctx context.Context) (err error) {
	if c.client != nil {
		return fmt.Errorf("start %s: it was started before", c.bundle.ID)
	}
	if c.errs, err = newSaid(c.bundle.Stderr); err != nil {
		return err
	}
	args := []string{"start", "--attach"}
	if c.bundle.Stdin != nil {
		args = append(args, "--interactive")
	}
	l := c.launch(append(args, c.id)...)
	l.stdin, l.stdout, l.stderr = c.bundle.Stdin, c.bundle.Stdout, c.errs.write
	if c.daemon {
		l.prepare = c.bundle.Prepare
	}
	// It is not the call's: the container outlives that.
	c.client, err = l.start(context.WithoutCancel(ctx))
	if err := errors.Join(err, c.errs.write.Close()); err != nil {
		return err
	}
	for {
		ended := c.clientEnded()
		if c.init != nil {
			exe := c.init.executes()
			if c.began = exe != "" && exe != c.exe; c.began {
				return nil
			}
		}
		if ended || c.init == nil && c.stirs() {
			state, err := c.inspect(ctx)
			switch {
			case err != nil:
				return err
			case state.began():
				return c.started(state)
			case ended:
				return fmt.Errorf("%s cannot make the container: %s (%w)", c.name, c.errs.text(), cmp.Or(c.client.err, errNoWord))
			}
		}
		select {
		case <-c.client.done:
		case <-time.After(lookEvery):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// stirs reports whether the container has a cgroup.
func (c *engineContainer) stirs() bool {
	groups, err := cgroup.At(c.below)
	return err != nil || len(groups) > 0
}

// started finds a container that has begun, unless it has ended.
func (c *engineContainer) started(s engineState) error {
	c.began = true
	if s.Pid == 0 || c.init != nil {
		return nil
	}
	if err := c.found(await(s.Pid)); err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, unix.ESRCH) {
		return err
	}
	return nil
}

func (c *engineContainer) clientEnded() bool {
	if c.client == nil {
		return false
	}
	select {
	case <-c.client.done:
		return true
	default:
		return false
	}
}

// end has the engine remove the container, with which the client ends too.
func (c *engineContainer) end() error {
	err := c.bounded(slices.Concat([]string{"rm"}, c.remove, []string{c.id})...)
	if c.client != nil {
		select {
		case <-c.client.done:
		case <-time.After(dying):
			err = errors.Join(err, c.client.cmd.Process.Kill())
			<-c.client.done
		}
	}
	if c.errs != nil {
		err = errors.Join(err, c.errs.close())
	}
	return err
}

// Wait waits for the container's init, and not until the engine says that it has ended: it removes the cgroup
// before, and somebody may want to read its counters. Of a status that the kernel has forgotten, -1, the engine is
// asked only if it knows it by now. Of a signal engines tell by 128 and its number.
func (c *engineContainer) Wait(ctx context.Context) (Status, error) {
	if !c.began {
		return Status{}, fmt.Errorf("wait for %s: it was not started", c.bundle.ID)
	}
	if c.init != nil {
		status, err := c.init.wait(ctx)
		if err != nil || status.Code >= 0 || !c.clientEnded() {
			return status, err
		}
	}
	select {
	case <-c.client.done:
	case <-ctx.Done():
		return Status{}, ctx.Err()
	}
	state, err := c.inspect(ctx)
	if err != nil {
		return Status{}, err
	}
	if state.runs() {
		return Status{}, fmt.Errorf("%s start has ended, and the container is %s: %s (%w)", c.name, state.Status, c.errs.text(), cmp.Or(c.client.err, errNoWord))
	}
	return Status{Code: state.ExitCode}, nil
}

// Kill asks for the state where a signal does not come through: each engine has its own words for a container
// that has ended.
func (c *engineContainer) Kill(sig unix.Signal) error {
	if c.clientEnded() || c.init != nil && c.init.over() {
		return os.ErrProcessDone
	}
	err := c.bounded("kill", "--signal="+strconv.Itoa(int(sig)), c.id)
	if err == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	if state, stateErr := c.inspect(ctx); stateErr == nil && state.began() && !state.runs() {
		return os.ErrProcessDone
	}
	return err
}

// Delete has the engine remove the container, and then looks for what it has left: that is an error, and
// removed all the same.
func (c *engineContainer) Delete(context.Context) error { return c.undo.Close() }

func (c *engineContainer) State() specs.State {
	return specs.State{Version: specs.Version, ID: c.bundle.ID, Bundle: c.bundle.Dir, Pid: c.Pid()}
}
