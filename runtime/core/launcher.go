package core

import (
	"errors"
	"os"
	"runtime"
	"sync"
	"unsafe"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
)

// Launcher makes containers. It keeps what it has learnt of the host and the threads from
// which children are cloned. It is safe for concurrent use.
type Launcher struct {
	host      Host
	oneShot   bool
	openFiles func() (*specs.POSIXRlimit, error) // asks once

	mu     sync.Mutex
	idle   []*thread
	closed bool
}

// LauncherOptions change a launcher. The zero value is for one that makes many containers.
type LauncherOptions struct {
	// OneShot launchers make one container and end. They do not ask whether a time namespace
	// takes effect at execve, which costs more than what its answer saves them: a child that
	// shares the launcher's memory. Nor do they keep threads: the goroutine that calls Create is
	// locked to its own, and the container dies with it.
	OneShot bool
}

// NewLauncher looks at the host. It changes nothing.
func NewLauncher(o LauncherOptions) (*Launcher, error) {
	last, err := kernel.LastCapability()
	if err != nil {
		return nil, err
	}
	l := &Launcher{oneShot: o.OneShot, openFiles: sync.OnceValues(openFiles), host: Host{LastCapability: last, Rootless: os.Geteuid() != 0, Ignored: ignored()}}
	if l.host.MountSetattr, err = has(kernel.MountSetattr); err != nil {
		return nil, err
	}
	if !o.OneShot {
		if l.host.TimeAtExec, err = has(kernel.TimeAtExecUnshare); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// sigaction is the kernel's struct sigaction.
type sigaction struct{ handler, flags, restorer, mask uintptr }

// ignored lists the signals that this process ignores. The Go runtime tells only of those that it handles itself.
func ignored() []unix.Signal {
	const sigIgn, last = 1, unix.Signal(64)
	var list []unix.Signal
	for s := unix.Signal(1); s <= last; s++ {
		var a sigaction
		if _, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(s), 0, uintptr(unsafe.Pointer(&a)), 8, 0, 0); errno == 0 && a.handler == sigIgn {
			list = append(list, s)
		}
	}
	return list
}

// has asks a gate. That it could not tell is an error.
func has(f *kernel.Feature) (bool, error) {
	err := f.Check()
	if errors.Is(err, kernel.ErrNotSupported) {
		return false, nil
	}
	return err == nil, err
}

// Host returns what plans are made for. The caller fills in what depends on the container.
func (l *Launcher) Host() Host { return l.host }

// hostFor is the host of a process's plan.
func (l *Launcher) hostFor(p *specs.Process) (_ Host, err error) {
	host := l.host
	if !limitsOpenFiles(p) {
		host.OpenFiles, err = l.openFiles()
	}
	return host, err
}

// Close ends the threads. A container dies with the thread that made it, so none may be left.
func (l *Launcher) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for _, t := range l.idle {
		close(t.jobs)
	}
	l.idle = nil
	return nil
}

// thread is an operating system thread that makes children. A child's parent-death signal comes
// when the thread that made it ends, not the process (prctl(2), PR_SET_PDEATHSIG), so these
// threads live as long as the launcher, and no other goroutine ever runs on them.
type thread struct{ jobs chan func() }

// run calls f on an idle thread and waits for it.
func (l *Launcher) run(f func()) error {
	if l.oneShot {
		runtime.LockOSThread() // and never unlock
		f()
		return nil
	}
	t, err := l.take()
	if err != nil {
		return err
	}
	done := make(chan struct{})
	t.jobs <- func() { f(); close(done) }
	<-done
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		close(t.jobs)
		return nil
	}
	l.idle = append(l.idle, t)
	return nil
}

func (l *Launcher) take() (*thread, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, errors.New("launcher is closed")
	}
	if n := len(l.idle); n > 0 {
		t := l.idle[n-1]
		l.idle = l.idle[:n-1]
		return t, nil
	}
	t := &thread{jobs: make(chan func())}
	go func() {
		runtime.LockOSThread() // and never unlock: the thread ends with the goroutine
		for f := range t.jobs {
			f()
		}
	}()
	return t, nil
}

// cloneFrom calls clone on a thread that lasts until letGo, as the child dies with it: on one of the
// launcher's, or on one of its own where the thread must first enter another mount or pid namespace,
// or be prepared, which it could not undo.
func (l *Launcher) cloneFrom(from string, pidNamespace int, prepare, clone func() error) (letGo func(), err error) {
	if from == "" && pidNamespace < 0 && prepare == nil {
		if runErr := l.run(func() { err = clone() }); runErr != nil {
			return nil, runErr
		}
		return func() {}, err
	}
	cloned, ended := make(chan error), make(chan struct{})
	go kernel.ThrowAway(func() {
		var err error
		if from != "" {
			// Here and not in the child: one in a new user namespace has no right to.
			err = kernel.EnterMounts(from)
		}
		if err == nil && pidNamespace >= 0 {
			err = unix.Setns(pidNamespace, unix.CLONE_NEWPID)
		}
		if err == nil && prepare != nil {
			err = prepare()
		}
		if err == nil {
			err = clone()
		}
		cloned <- err
		if err == nil {
			<-ended
		}
	})
	return func() { close(ended) }, <-cloned
}
