package core

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"unsafe"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/cleanup"
)

// lineFloor is the lowest number of the child's end of the line: below it lies at least one
// descriptor that is closed, so that no range of close_range(2) is ever empty.
const lineFloor = 10

// child is a process between clone3 and execve.
type child struct {
	pid      int
	pidfd    int
	line     int      // the launcher's end
	early    bool     // it ended before it took what was sent
	terminal *os.File // the master, where it has one
	image    *image
	plan     *Plan
	reaper   *reaper // nil until reap
	undo     cleanup.Stack
}

// launch makes a child and brings it to the point where it waits for the create hooks, or without any for start.
func (l *Launcher) launch(ctx context.Context, plan *Plan, prepare func() error, handles map[Handle]int, into, pidNamespace int) (_ *child, err error) {
	c := &child{plan: plan}
	defer c.undo.OnError(&err)
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("make the line to the child: %w", err)
	}
	c.line = pair[0]
	c.undo.Push("close the line", c.closeLine)
	theirs, err := unix.FcntlInt(uintptr(pair[1]), unix.F_DUPFD_CLOEXEC, lineFloor)
	if err := errors.Join(err, unix.Close(pair[1])); err != nil {
		return nil, fmt.Errorf("move the child's end of the line: %w", err)
	}
	handles[Line] = theirs
	err = c.clone(l, prepare, handles, into, pidNamespace)
	// From now on only the child holds its end, so that its end is seen here.
	if err := errors.Join(err, unix.Close(theirs)); err != nil {
		return nil, err
	}
	return c, c.ready(ctx)
}

func (c *child) clone(l *Launcher, prepare func() error, handles map[Handle]int, into, pidNamespace int) error {
	image, err := load(c.plan.Steps, c.plan.slots, handles)
	if err != nil {
		return err
	}
	c.image = image
	c.undo.Push("unmap the plan", image.Close)
	args := cloneArgs{
		flags:      c.plan.Flags | unix.CLONE_PIDFD,
		pidfd:      uint64(image.address(image.pidfd)),
		exitSignal: uint64(unix.SIGCHLD),
	}
	if into >= 0 {
		args.flags |= unix.CLONE_INTO_CGROUP
		args.cgroup = uint64(into)
	}
	var unblocked, mapped error // what fails while there is a child already
	letGo, err := l.cloneFrom(c.plan.From, pidNamespace, prepare, func() error {
		var all, old unix.Sigset_t
		for i := range all.Val {
			all.Val[i] = ^all.Val[i]
		}
		// A handler of the Go runtime must not run in a child that has no stack.
		if err := unix.PthreadSigmask(unix.SIG_SETMASK, &all, &old); err != nil {
			return fmt.Errorf("block signals: %w", err)
		}
		pid, errno := spawn(&args, unsafe.Sizeof(args), image.first(), image.end(), uintptr(handles[Line]))
		unblocked = unix.PthreadSigmask(unix.SIG_SETMASK, &old, nil)
		if errno != 0 {
			return fmt.Errorf("clone3 (%s): %w", cloneText(c.plan.Flags), unix.Errno(errno))
		}
		c.pid, c.pidfd = int(pid), int(binary.NativeEndian.Uint32(image.mem[image.pidfd:]))
		if c.plan.From == "" { // or the thread has another /proc
			// The child waits for this, and works while the change of thread takes its time.
			mapped = c.mapUsers()
		}
		return nil
	})
	if err != nil {
		return err
	}
	if c.plan.From != "" {
		mapped = c.mapUsers()
	}
	c.undo.Push("let go of its thread", func() error { letGo(); return nil })
	// Pushed last, so run first: the child must have left the plan before that is unmapped.
	c.undo.Push("end the child", c.end)
	return c.lastWords(errors.Join(unblocked, mapped))
}

// end kills and reaps the child if that has not been done.
func (c *child) end() error {
	if c.reaper != nil {
		return c.reaper.end()
	}
	err := unix.PidfdSendSignal(c.pidfd, unix.SIGKILL, nil, 0)
	if errors.Is(err, unix.ESRCH) {
		err = nil
	}
	_, waitErr := waitPidfd(c.pidfd, 0)
	return errors.Join(err, waitErr, unix.Close(c.pidfd))
}

// mapUsers writes the id mappings of a user namespace, if the child has one of its own, for which it waits.
func (c *child) mapUsers() error {
	if len(c.plan.UIDMappings) == 0 {
		return nil
	}
	dir := "/proc/" + strconv.Itoa(c.pid)
	files := []struct{ path, text string }{
		{dir + "/uid_map", mappingText(c.plan.UIDMappings)},
		{dir + "/gid_map", mappingText(c.plan.GIDMappings)},
	}
	if c.plan.DenySetgroups {
		// user_namespaces(7): it cannot be denied any more once there is a gid map.
		files = append(files[:1], struct{ path, text string }{dir + "/setgroups", "deny"}, files[1])
	}
	for _, f := range files {
		if err := os.WriteFile(f.path, []byte(f.text), 0); err != nil {
			return fmt.Errorf("map users %s: %w", strings.ReplaceAll(f.text, "\n", ", "), err)
		}
	}
	return c.goOn()
}

func mappingText(m []specs.LinuxIDMapping) string {
	lines := make([]string, len(m))
	for i := range m {
		lines[i] = fmt.Sprintf("%d %d %d", m[i].ContainerID, m[i].HostID, m[i].Size)
	}
	return strings.Join(lines, "\n")
}

func (c *child) closeLine() error { return unix.Close(c.line) }

// goOn lets the child leave a step in which it waits.
func (c *child) goOn() error {
	// A child that has ended must not end us: write(2) would raise SIGPIPE.
	err := unix.Sendto(c.line, []byte{1}, unix.MSG_NOSIGNAL, nil)
	if errors.Is(err, unix.EPIPE) || errors.Is(err, unix.ECONNRESET) {
		c.early = true
		return nil // what it reported before says why: listen reads it
	}
	if err != nil {
		return fmt.Errorf("tell the child to go on: %w", err)
	}
	return nil
}

// lastWords returns what a child that has ended reported, in place of what went wrong for that
// reason.
func (c *child) lastWords(err error) error {
	if err == nil {
		return nil
	}
	buf := make([]byte, reportSize)
	if n, recvErr := c.receive(buf, unix.MSG_DONTWAIT); recvErr == nil && n == len(buf) {
		return c.failed(buf)
	}
	return err
}

// receive reads one report, and takes the terminal that comes before it. A child that ended before it read our
// byte resets the line, once: what it reported before lies behind that.
func (c *child) receive(buf []byte, flags int) (int, error) {
	control := make([]byte, unix.CmsgSpace(4)) // one descriptor
	for {
		n, rights, got, _, err := unix.Recvmsg(c.line, buf, control, flags|unix.MSG_CMSG_CLOEXEC)
		switch {
		case errors.Is(err, unix.ECONNRESET):
			c.early = true
		case err == nil && got&unix.MSG_CTRUNC != 0: // or its message would pass for the child's end
			return 0, errors.New("take the terminal: the kernel gave no descriptor for it: is RLIMIT_NOFILE reached?")
		case err == nil && rights > 0:
			if err := c.takeTerminal(control[:rights]); err != nil {
				return 0, err
			}
		case !errors.Is(err, unix.EINTR):
			return n, err
		}
	}
}

var errEarly = errors.New("the child ended before its program could start")

// endedEarly says how the child ended, which it has.
func (c *child) endedEarly() error {
	var status Status
	if c.reaper != nil {
		<-c.reaper.done
		status = c.reaper.status
	} else if s, err := waitPidfd(c.pidfd, unix.WNOWAIT); err == nil {
		status = *s
	}
	if status.Signal == unix.SIGKILL {
		return fmt.Errorf("%w: %v: does its memory limit leave no room?", errEarly, status)
	}
	return fmt.Errorf("%w: %v", errEarly, status)
}

// ready waits until the child waits for what comes next.
func (c *child) ready(ctx context.Context) error {
	report, err := c.listen(ctx)
	if err == nil && len(report) != readySize {
		return c.endedEarly()
	}
	return err
}

// start lets the child become its program.
func (c *child) start(ctx context.Context) error {
	if err := c.goOn(); err != nil {
		return err
	}
	word, err := c.listen(ctx)
	switch {
	case err != nil:
		return err
	case c.early:
		return c.endedEarly()
	case len(word) != 0:
		return errors.New("the child reports more than it should")
	}
	return nil
}

// listen reads one report: nothing if the child's end was closed, which execve does. It blocks
// its thread: a child answers within a millisecond, and waking a parked goroutine costs a tenth
// of that. One that hangs, in a mount of a dead server say, is killed when the context is done.
func (c *child) listen(ctx context.Context) ([]byte, error) {
	buf := make([]byte, reportSize)
	release := c.killAfter(ctx)
	n, err := c.receive(buf, 0)
	if release() {
		return nil, fmt.Errorf("the child did not get on: %w", ctx.Err())
	}
	if err != nil {
		return nil, fmt.Errorf("listen to the child: %w", err)
	}
	if n < len(buf) {
		return buf[:n], nil
	}
	return nil, c.failed(buf)
}

// killAfter kills the child when the context is done, until release, which says whether it did.
func (c *child) killAfter(ctx context.Context) (release func() bool) {
	killed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(killed)
		_ = unix.PidfdSendSignal(c.pidfd, unix.SIGKILL, nil, 0) // it may have ended
	})
	return func() bool {
		if stop() {
			return false
		}
		<-killed // the pidfd is not closed before
		return true
	}
}

// reportSize is the length of the report of a failed step: its address and its result.
const reportSize = 16

// failed takes the report of a failed step apart.
func (c *child) failed(report []byte) error {
	at := uintptr(binary.NativeEndian.Uint64(report))
	res := int64(binary.NativeEndian.Uint64(report[8:]))
	i, ok := c.image.step(at)
	if !ok {
		return fmt.Errorf("the child reports step at %#x, which is none", at)
	}
	return &StepError{Step: c.plan.Steps[i], Index: i, Count: len(c.plan.Steps), Result: res}
}
