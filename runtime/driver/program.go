package driver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"cellwall/runtime/cgroup"
	"cellwall/runtime/cleanup"
	"cellwall/runtime/kernel"
)

// launch says how a runtime's program is started.
type launch struct {
	argv []string
	// env is its environment; nil is the launcher's.
	env []string
	// as is the user that it runs as; nil is the launcher's.
	as *syscall.Credential
	// files are its descriptors from 3 on.
	files []*os.File
	// from is the mount namespace file in which it runs; empty is the launcher's.
	from string
	// join are files of other namespaces in which it runs.
	join []string
	// hide are mount points that it must not see.
	hide []string
	// prepare is Bundle.Prepare.
	prepare func() error
	// place is told the container's own cgroup, once that is there, and returns the one below it in which
	// the program starts; nil is the own.
	place func(*cgroup.Group) (*cgroup.Group, error)
	// init says that the container's program is the child of an init of the runtime's own.
	init bool
	// unshare are the namespaces that it gets of its own, as flags of clone(2).
	unshare uintptr
	// apart starts it in a process group of its own, for a program that signals all of its group.
	apart bool
	// limits are those of the container's own cgroup, of a tool whose containers can have some.
	limits cgroup.Limits
	// began gives a byte once the container's program begins, of a tool whose programs are no processes of
	// this host. The other end is the last of files.
	began *os.File
	// group is the cgroup that it starts in.
	group                 *cgroup.Group
	stdin, stdout, stderr *os.File
}

// program is a runtime's program that was started.
type program struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error
	left []string // mounts that it has made where the host's were to be, and not undone; after done
}

// start starts a program on a thread of its own: what the thread enters, joins and takes the
// program inherits, and nothing else of this process. The thread lasts as long as the program,
// which is killed when the context or the thread ends.
func (l launch) start(ctx context.Context) (*program, error) {
	cmd := exec.CommandContext(ctx, l.argv[0], l.argv[1:]...)
	// A nil *os.File would be a reader that is not nil.
	if l.stdin != nil {
		cmd.Stdin = l.stdin
	}
	if l.stdout != nil {
		cmd.Stdout = l.stdout
	}
	if l.stderr != nil {
		cmd.Stderr = l.stderr
	}
	cmd.Env, cmd.ExtraFiles = l.env, l.files
	p := &program{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go kernel.ThrowAway(func() {
		before, err := l.enter()
		if err == nil {
			err = l.begin(cmd)
		}
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			p.left, err = mountsSince(before)
			p.err = errors.Join(p.err, err)
			close(p.done)
		}
	})
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", l.argv[0], err)
	}
	return p, nil
}

// begin starts the program, which stops at its first instruction until it is in its group: neither
// it nor what it forks is ever seen elsewhere.
func (l launch) begin(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Ptrace: l.group != nil, Credential: l.as, Setpgid: l.apart, Cloneflags: l.unshare}
	if err := cmd.Start(); err != nil {
		return err
	}
	if l.group == nil {
		return nil
	}
	pid := cmd.Process.Pid
	var stopped unix.WaitStatus
	_, err := unix.Wait4(pid, &stopped, 0, nil)
	switch {
	case err != nil:
		err = fmt.Errorf("wait for its first stop: %w", err)
	case !stopped.Stopped():
		// It has been waited for, so nothing more can be heard of it.
		return errors.Join(errors.New("it has ended before its first instruction"), cmd.Process.Release())
	default:
		err = l.group.Add(pid)
	}
	if err == nil {
		err = unix.PtraceDetach(pid)
	}
	if err != nil {
		return errors.Join(err, cmd.Process.Kill(), cmd.Wait())
	}
	return nil
}

// enter brings the calling thread to where the program is to start. Without a namespace that stands in
// for the host's mounts that is a copy of them, of which it returns what is mounted: nothing that a
// runtime mounts may reach the host, where removing a directory would go on into it.
func (l launch) enter() (mounts []string, err error) {
	if l.from != "" {
		err = kernel.EnterMounts(l.from)
	} else {
		err = copyMounts(unix.MS_PRIVATE, unix.MS_SHARED) // shared, as systemd leaves the host's
	}
	if err == nil && len(l.hide) > 0 {
		err = l.conceal()
	}
	if err == nil && l.from == "" {
		mounts, err = listMounts() // now: what has been unmounted gives its id to the next mount
	}
	if err != nil {
		return nil, err
	}
	for _, path := range l.join {
		if err := join(path); err != nil {
			return nil, fmt.Errorf("join namespace %s: %w", path, err)
		}
	}
	if l.prepare != nil {
		return mounts, l.prepare()
	}
	return mounts, nil
}

// join takes the calling thread into a namespace of any kind that a thread alone may change.
func join(path string) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	return errors.Join(unix.Setns(fd, 0), unix.Close(fd))
}

// status is how the program ended. It must have.
func (p *program) status() Status {
	s := Status{CPU: p.cmd.ProcessState.SystemTime() + p.cmd.ProcessState.UserTime()}
	if w, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		s.Signal = w.Signal()
	} else {
		s.Code = p.cmd.ProcessState.ExitCode()
	}
	return s
}

// run starts a program and waits for its end.
func (l launch) run(ctx context.Context) error {
	p, err := l.start(ctx)
	if err != nil {
		return err
	}
	<-p.done // not before: the context kills it
	err = errors.Join(p.err, cleanup.LeftBy(filepath.Base(l.argv[0]), p.left))
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	return err
}
