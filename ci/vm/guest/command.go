package guest

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// environment is what a command finds after a login at a console.
var environment = []string{
	"HOME=/root", "LANG=C.UTF-8", "LOGNAME=root", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	"TERM=dumb", "USER=root",
}

// stream is a pipe from the command.
type stream struct {
	kind  Kind
	r     *os.File
	child int // its descriptor in the command
}

// run runs the command in the group of a v2 directory, or where init is for "", and sends what it
// writes. It returns its exit status in the way of a shell, after everything has been sent.
//
// As process 1 it reaps every orphan. What still runs when the command has ended is killed: it
// would hold the streams open for ever, and the machine is about to go.
func run(d Description, session string, out *sender, in *inbox) (code int, err error) {
	if os.Getpid() != 1 {
		return 0, errors.New("run the command: this is not process 1")
	}
	streams, pid, err := start(d, session, in)
	if err != nil {
		return 0, err
	}
	var forwarding sync.WaitGroup
	failed := make([]error, len(streams))
	for i, s := range streams {
		forwarding.Go(func() { failed[i] = out.forward(s.kind, s.r) })
	}
	status, err := reapUntil(pid)
	if err != nil {
		return 0, err
	}
	if err := unix.Kill(-1, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
		return 0, fmt.Errorf("kill what the command has left: %w", err)
	}
	if _, err := reapUntil(0); err != nil {
		return 0, err
	}
	forwarding.Wait()
	return exitCode(status), errors.Join(failed...)
}

func start(d Description, session string, in *inbox) (streams []*stream, pid int, err error) {
	streams = []*stream{{kind: Stdout, child: 1}, {kind: Stderr, child: 2}, {kind: Record, child: Records}}
	attributes := commandAttributes
	if d.Container != nil {
		attributes, streams = d.Container.attributes, streams[:Records-1]
	}
	attr, stdin, err := attributes(in)
	if err != nil {
		return nil, 0, err
	}
	defer stdin.Close() //nolint:errcheck // the command has its own
	files := make([]uintptr, 1+len(streams))
	files[0] = stdin.Fd()
	for _, s := range streams {
		// Not os.Pipe, whose ends do not block: the command's must.
		var pipe [2]int
		if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
			return nil, 0, fmt.Errorf("start the command: %w", err)
		}
		defer unix.Close(pipe[1]) //nolint:errcheck // the command has its own
		s.r, files[s.child] = os.NewFile(uintptr(pipe[0]), string(s.kind)), uintptr(pipe[1])
	}
	if session != "" {
		group, err := unix.Open(session, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil, 0, fmt.Errorf("start the command: open its group: %w", err)
		}
		defer unix.Close(group) //nolint:errcheck // O_PATH
		attr.Sys.UseCgroupFD, attr.Sys.CgroupFD = true, group
	}
	// Not os.StartProcess: whoever calls wait4(-1) must be the only one to wait.
	attr.Files = files
	pid, err = syscall.ForkExec(d.Command[0], d.Command, attr)
	if err != nil {
		return nil, 0, fmt.Errorf("start the command %s: %w", d.Command[0], err)
	}
	return streams, pid, nil
}

// commandAttributes are how a command starts that is no container's: without input.
func commandAttributes(*inbox) (attr *syscall.ProcAttr, stdin *os.File, err error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, nil, fmt.Errorf("start the command: %w", err)
	}
	return &syscall.ProcAttr{Dir: "/root", Env: environment, Sys: &syscall.SysProcAttr{Setsid: true}}, null, nil
}

// reapUntil reaps children until pid has ended, or, for 0, until there are none.
func reapUntil(pid int) (unix.WaitStatus, error) {
	for {
		var status unix.WaitStatus
		got, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.ECHILD) && pid == 0:
			return 0, nil
		case err != nil:
			return 0, fmt.Errorf("wait for children: %w", err)
		case got == pid:
			return status, nil
		}
	}
}

func exitCode(status unix.WaitStatus) int {
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}
