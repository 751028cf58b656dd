package core

import (
	"context"
	"fmt"
	"os"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/cgroup"
	"cellwall/runtime/cleanup"
)

// Joining describes a running container to a process that joins it.
type Joining struct {
	ID  string
	Pid int // of the container's init
	// StartTime is an Entry's: with it a recycled pid is told from the container's init.
	StartTime uint64
	Spec      *specs.Spec // the container's
	Process   *specs.Process
	Omit      []string
	// Stdin, Stdout and Stderr are as in Options.
	Stdin, Stdout, Stderr *os.File

	reaper *reaper // of init, where the launcher itself waits for it
}

// Process is a process that has joined a container, killed when the launcher ends.
type Process struct {
	Console *os.File // the terminal's master, where process.terminal asks for one

	child *child
	undo  cleanup.Stack
}

// Exec starts a process inside a running container, confined exactly as its init is: the same
// namespaces, root directory and cgroup, and what process and spec say of the rest.
func (c *Container) Exec(ctx context.Context, p *specs.Process, stdin, stdout, stderr *os.File) (*Process, error) {
	if s := c.State(); s.Status != specs.StateRunning {
		return nil, fmt.Errorf("exec in container %s: it is %s, not running", c.id, s.Status)
	}
	return c.launcher.Exec(ctx, Joining{
		ID: c.id, Pid: c.Pid(), Spec: c.options.Spec, Process: p,
		Stdin: stdin, Stdout: stdout, Stderr: stderr, reaper: c.child.reaper,
	})
}

// Exec joins a container that may have been made by another process.
//
// A process that can write to the file of its own program must have called Seal.
func (l *Launcher) Exec(ctx context.Context, j Joining) (_ *Process, err error) {
	p := &Process{}
	defer p.undo.OnError(&err)
	pidfd, err := unix.PidfdOpen(j.Pid, 0)
	if err != nil {
		return nil, fmt.Errorf("exec in container %s: open init %d: %w", j.ID, j.Pid, err)
	}
	p.undo.Push("close init's pidfd", func() error { return unix.Close(pidfd) })
	// Only now: from here on the pidfd says whether the pid has become another's.
	if err := j.isInit(); err != nil {
		return nil, err
	}
	root, err := unix.Open(fmt.Sprintf("/proc/%d/root", j.Pid), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("exec in container %s: open its root: %w", j.ID, err)
	}
	p.undo.Push("close the container's root", func() error { return unix.Close(root) })
	group, err := cgroup.Open(j.Pid)
	if err != nil {
		return nil, fmt.Errorf("exec in container %s: %w", j.ID, err)
	}
	p.undo.Push("close the view of the cgroup", group.Close)
	if err := unix.PidfdSendSignal(pidfd, 0, nil, 0); err != nil {
		return nil, fmt.Errorf("exec in container %s: its init has ended: %w", j.ID, err)
	}
	if events, err := group.Events(); err == nil && events.Frozen {
		return nil, fmt.Errorf("exec in container %s: it is frozen", j.ID)
	}
	join, err := group.Join()
	if err != nil {
		return nil, fmt.Errorf("exec in container %s: %w", j.ID, err)
	}
	host, err := l.hostFor(j.Process)
	if err != nil {
		return nil, err
	}
	for _, h := range group.Hierarchies() {
		if !h.V2 {
			host.Tasks = append(host.Tasks, h.Name)
		}
	}
	plan, err := CompileExec(j.Spec, j.Process, host, j.Omit)
	if err != nil {
		return nil, err
	}
	handles, err := standard(&p.undo, j.Stdin, j.Stdout, j.Stderr)
	if err != nil {
		return nil, err
	}
	for i, name := range host.Tasks {
		handles[TasksHandle(name)] = join.Tasks[i]
	}
	handles[Target], handles[Root] = pidfd, root
	pidNamespace := -1
	if plan.PIDNamespace != "" {
		pidNamespace = pidfd
	}
	if p.child, err = l.launch(ctx, plan, nil, handles, join.Into, pidNamespace); err != nil {
		return nil, err
	}
	p.undo.Push("end the child", p.child.undo.Close)
	p.Console = p.child.terminal
	if err := p.child.start(ctx); err != nil {
		return nil, err
	}
	return p, p.child.reap()
}

// isInit makes sure that the pid is still the one of the container's init.
func (j *Joining) isInit() error {
	if j.reaper != nil {
		// While it is not waited for, nobody else has its pid.
		if err := j.reaper.signal(0); err != nil {
			return fmt.Errorf("exec in container %s: its init has ended: %w", j.ID, err)
		}
		return nil
	}
	start, err := startTime(j.Pid)
	if err != nil {
		return fmt.Errorf("exec in container %s: %w", j.ID, err)
	}
	if start != j.StartTime {
		return fmt.Errorf("exec in container %s: its init is gone, and process %d is another: %w", j.ID, j.Pid, os.ErrNotExist)
	}
	return nil
}

// Pid returns the process's pid as the launcher sees it.
func (p *Process) Pid() int { return p.child.pid }

// Wait waits for the process's end. Close releases what it holds.
func (p *Process) Wait(ctx context.Context) (Status, error) { return p.child.reaper.wait(ctx) }

// Kill sends a signal to the process; an ended one gives os.ErrProcessDone.
func (p *Process) Kill(sig unix.Signal) error { return p.child.reaper.signal(sig) }

// Close kills the process if it is still there and releases everything.
func (p *Process) Close() error { return p.undo.Close() }

// CompileExec makes the plan of a process that joins a container with the given spec. It is
// pure, as Compile is.
func CompileExec(s *specs.Spec, process *specs.Process, h Host, omit []string) (*Plan, error) {
	joined := *s
	joined.Process = process
	if err := Validate(&joined); err != nil {
		return nil, err
	}
	p := &planner{Request: Request{Spec: &joined, Host: h, Omit: omit}}
	for _, section := range []func() error{
		p.joiner,
		p.stdio,
		p.joinCgroups,
		p.launcherFiles,
		p.joinContainer,
		p.closeDescriptors,
		p.workingDirectory,
		p.session,
		p.identity,
		p.program,
	} {
		if err := section(); err != nil {
			return nil, err
		}
	}
	p.plan.slots = p.lastSlot
	return &p.plan, nil
}

// joiner is a copy of the launcher, since only a process that shares no memory may enter a time namespace.
func (p *planner) joiner() error {
	p.plan.Flags = unix.CLONE_CLEAR_SIGHAND
	p.plan.DenySetgroups = p.deniesSetgroups()
	p.undumpable()
	return nil
}

// undumpable hides the child from the processes among which it is or which it is about to join:
// until execve it still has the launcher's memory and program (CVE-2016-9962).
func (p *planner) undumpable() {
	p.add(Step{
		ID: "undumpable", Barrier: "non-dumpable until execve",
		Text:   "become undumpable",
		number: unix.SYS_PRCTL, args: calls(num(unix.PR_SET_DUMPABLE), num(0)),
	})
}

// joinContainer enters init's namespaces, all at once, and its root directory.
func (p *planner) joinContainer() error {
	var flags uint64
	for _, t := range namespaceTypes {
		if !p.has(t.name) {
			continue
		}
		if t.name == specs.PIDNamespace {
			p.plan.PIDNamespace = "the container's"
			continue
		}
		flags |= t.flag
	}
	if flags != 0 {
		p.add(Step{
			ID: "join-namespaces", Barrier: "namespaces",
			Text:   "join the container's namespaces",
			number: unix.SYS_SETNS, args: calls(fd(Target), num(flags)),
		})
	}
	p.becomeRoot()
	p.add(
		Step{Text: "change into the container's root", number: unix.SYS_FCHDIR, args: calls(fd(Root))},
		Step{
			ID: "chroot", Barrier: "root directory",
			Text:   "chroot .",
			number: unix.SYS_CHROOT, args: calls(str(".")),
		},
	)
	return nil
}

// DefaultProcess is the process of an exec that says nothing but its arguments: init's, with
// other arguments and no terminal.
func DefaultProcess(s *specs.Spec, args []string) *specs.Process {
	p := *s.Process
	p.Args = slices.Clone(args)
	p.Terminal = false
	return &p
}
