package core

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/cgroup"
	"cellwall/runtime/cleanup"
)

// Options is what Create makes a container of. Spec alone is needed.
type Options struct {
	// Spec is used as it is and not changed. Host paths in it are absolute.
	Spec *specs.Spec
	// Bundle is the bundle's directory for State; it may be empty.
	Bundle string
	// Omit names steps of the plan that are left out: a deliberately weakened container.
	Omit []string
	// From is a mount namespace file that takes the place of the launcher's own.
	From string
	// Prepare is called on the thread that makes the container and makes no other: the
	// supplementary groups or the session keyring that it takes are the launcher's, as far as
	// the container can inherit them.
	Prepare func() error
	// Parent makes the container's cgroup: a Group, or the Tree for one beside the launcher's.
	// Without it the container stays in the launcher's cgroup, and limits are an error.
	Parent Groups
	// GroupName is the cgroup's name. It starts with cgroup.Prefix; the zero value is the id
	// with that prefix.
	GroupName string
	// Stdin, Stdout and Stderr are the container's; nil is /dev/null. They stay the caller's.
	Stdin, Stdout, Stderr *os.File
}

// Container is a container from Create to Delete, killed when the launcher ends, however it does.
// Its methods may be called concurrently.
type Container struct {
	// Console is the terminal's master where process.terminal asks for one. It is closed by
	// Delete.
	Console *os.File

	id       string
	launcher *Launcher
	options  Options
	group    *cgroup.Group
	child    *child
	undo     cleanup.Stack

	mu      sync.Mutex
	state   specs.ContainerState
	deleted bool
}

// Create makes a container up to the point where only its program is missing. A child or a hook that
// hangs is killed when ctx is done. After an error the host is as if it had never been tried: the poststop
// hooks of one whose create hooks have run undo those, within their timeouts, whatever has become of ctx.
func (l *Launcher) Create(ctx context.Context, id string, o Options) (_ *Container, err error) {
	if err := ValidID(id); err != nil {
		return nil, err
	}
	c := &Container{id: id, launcher: l, options: o, state: specs.StateCreating}
	defer c.undo.OnError(&err)
	var process *specs.Process
	if o.Spec != nil {
		process = o.Spec.Process
	}
	host, err := l.hostFor(process)
	if err != nil {
		return nil, err
	}
	join, err := c.makeGroup(&host)
	if err != nil {
		return nil, err
	}
	if err := host.lookAtSources(o.Spec, o.From); err != nil {
		return nil, err
	}
	plan, err := Compile(Request{Spec: o.Spec, Host: host, Omit: o.Omit, From: o.From})
	if err != nil {
		return nil, err
	}
	handles, err := standard(&c.undo, o.Stdin, o.Stdout, o.Stderr)
	if err != nil {
		return nil, err
	}
	for i, name := range host.Tasks {
		handles[TasksHandle(name)] = join.Tasks[i]
	}
	pidNamespace := -1
	if plan.PIDNamespace != "" {
		file, err := os.Open(plan.PIDNamespace)
		if err != nil {
			return nil, fmt.Errorf("join pid namespace: %w", err)
		}
		defer file.Close() //nolint:errcheck // read-only
		pidNamespace = int(file.Fd())
	}
	if c.child, err = l.launch(ctx, plan, o.Prepare, handles, join.Into, pidNamespace); err != nil {
		return nil, err
	}
	c.undo.Push("end the child", c.child.undo.Close)
	if err := c.adopt(ctx); err != nil {
		// Its create hooks may have run: runtime.md, "Lifecycle".
		c.state = specs.StateStopped
		err = errors.Join(err, c.undo.Close())
		return nil, errors.Join(err, c.hooks(context.WithoutCancel(ctx), stoppedHooks, 0))
	}
	return c, nil
}

// adopt takes over the child, which is ready, but for the create hooks if there are any.
func (c *Container) adopt(ctx context.Context) error {
	if len(hooksAt(c.options.Spec.Hooks, createHooks)) > 0 {
		if err := c.hooks(ctx, createHooks, c.child.pid); err != nil {
			return err
		}
		if err := c.child.goOn(); err != nil {
			return err
		}
		if err := c.child.ready(ctx); err != nil {
			return err
		}
	}
	c.Console, c.state = c.child.terminal, specs.StateCreated
	return c.child.reap()
}

// ID returns the container's name.
func (c *Container) ID() string { return c.id }

// Pid returns the pid of the container's init, as the launcher sees it.
func (c *Container) Pid() int { return c.child.pid }

// Group returns the container's cgroup, nil if it has none of its own.
func (c *Container) Group() *cgroup.Group { return c.group }

// Start lets the container's program run. An error names the step or the poststart hook that failed;
// the container is then stopped, or about to.
func (c *Container) Start(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != specs.StateCreated {
		return fmt.Errorf("start container %s: it is %s, not created", c.id, c.state)
	}
	if err := c.child.start(ctx); err != nil {
		c.state = specs.StateStopped
		return err
	}
	c.state = specs.StateRunning
	if err := c.hooks(ctx, startedHooks, c.child.pid); err != nil {
		return errors.Join(err, c.child.reaper.kill())
	}
	return nil
}

// Wait waits until the container's init has ended.
func (c *Container) Wait(ctx context.Context) (Status, error) { return c.child.reaper.wait(ctx) }

// Kill sends a signal to the container's init. An ended one gives os.ErrProcessDone.
func (c *Container) Kill(sig unix.Signal) error { return c.child.reaper.signal(sig) }

// State returns the container's state in the words of the OCI runtime-spec.
func (c *Container) State() specs.State {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := specs.State{
		Version: specs.Version, ID: c.id, Status: c.state, Bundle: c.options.Bundle,
		Annotations: c.options.Spec.Annotations,
	}
	select {
	case <-c.child.reaper.done:
		s.Status = specs.StateStopped
	default:
		s.Pid = c.child.pid
	}
	return s
}

// killTimeout bounds how long Delete waits for killed processes. A process in an
// uninterruptible call outlives it, and then Delete says so.
const killTimeout = 10 * time.Second

// Delete ends what is left of the container and removes what was made for it. After an error it
// can be called again; after a success it does nothing.
func (c *Container) Delete() error {
	// First, as a Start that hangs has the lock.
	if err := c.child.reaper.kill(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.deleted {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), killTimeout)
	defer cancel()
	if _, err := c.Wait(ctx); err != nil {
		return fmt.Errorf("wait for init %d of %s: %w", c.child.pid, c.id, err)
	}
	c.state = specs.StateStopped
	if c.group != nil {
		// What is still in it has a name, so this can be tried again.
		if err := c.removeGroup(); err != nil {
			return err
		}
	}
	c.deleted = true
	return errors.Join(c.undo.Close(), c.hooks(context.Background(), stoppedHooks, 0))
}

// maxID keeps an id together with a suffix below NAME_MAX.
const maxID = 128

// ValidID checks a container's id: it becomes the name of a directory and of a cgroup.
func ValidID(id string) error {
	if id == "" || len(id) > maxID || id == "." || id == ".." {
		return fmt.Errorf("container id %s: want 1 to %d letters, digits or _+-. characters", strconv.Quote(id[:min(len(id), 40)]), maxID)
	}
	for _, r := range id {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '_', r == '+', r == '-', r == '.':
		default:
			return fmt.Errorf("container id %.60q: %q is not allowed in it", id, r)
		}
	}
	return nil
}
