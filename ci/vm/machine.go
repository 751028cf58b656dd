package vm

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"cellwall/runtime/cleanup"
)

// machine is a QEMU that runs. All that it has of us is inherited: nothing has a name in a file
// system, and so nothing stays when both of us are killed.
type machine struct {
	console, channel *os.File // our ends; closing one interrupts who reads it
	said             *console // what QEMU itself prints
	started          time.Time

	cmd   *exec.Cmd
	ended chan error // what exec.Cmd.Wait returned, once
	undo  cleanup.Stack
}

// start starts QEMU. The initramfs is not consumed.
func (g Guest) start(program, accel string, initramfs *os.File) (_ *machine, err error) {
	m := &machine{said: &console{}, ended: make(chan error, 1)}
	defer m.undo.OnError(&err)
	var theirs cleanup.Stack
	defer func() { err = errors.Join(err, theirs.Close()) }()
	var ends [2]*os.File
	if m.console, ends[0], err = m.line("console", &theirs); err != nil {
		return nil, err
	}
	if m.channel, ends[1], err = m.line("channel", &theirs); err != nil {
		return nil, err
	}
	// exec.Cmd numbers them from 3.
	args := g.arguments(accel, descriptors{console: 3, channel: 4, initramfs: 5})
	m.cmd = exec.Command(program, args...)
	m.cmd.ExtraFiles = []*os.File{ends[0], ends[1], initramfs}
	m.cmd.Stdout, m.cmd.Stderr = m.said, m.said
	m.cmd.WaitDelay = time.Second
	m.cmd.SysProcAttr = &syscall.SysProcAttr{
		Pdeathsig: syscall.SIGKILL,
		Setpgid:   true, // an interrupt from the terminal is ours to answer
	}
	if err := m.spawn(); err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	return m, nil
}

// line makes a pair of connected sockets, one for each side.
func (m *machine) line(name string, theirs *cleanup.Stack) (ours, other *os.File, err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make the %s: %w", name, err)
	}
	// So that Close interrupts Read. QEMU does as it likes with its own.
	err = unix.SetNonblock(pair[0], true)
	ours, other = os.NewFile(uintptr(pair[0]), name), os.NewFile(uintptr(pair[1]), name)
	m.undo.Push("close the "+name, ours.Close)
	theirs.Push("close the other end of the "+name, other.Close)
	if err != nil {
		return nil, nil, fmt.Errorf("make the %s: %w", name, err)
	}
	return ours, other, nil
}

// spawn starts the process on a thread that lives as long as the process does: PR_SET_PDEATHSIG
// kills it when the thread ends that forked it, PR_SET_PDEATHSIG(2const), and Go ends threads.
func (m *machine) spawn() error {
	begun := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		m.started = time.Now()
		err := m.cmd.Start()
		begun <- err
		if err == nil {
			m.ended <- m.cmd.Wait()
		}
	}()
	return <-begun
}

// kill ends it. Killing one that has ended is no error.
func (m *machine) kill() { _ = m.cmd.Process.Kill() }

// close is for after the end.
func (m *machine) close() error { return m.undo.Close() }
