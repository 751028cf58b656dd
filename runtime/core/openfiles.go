package core

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
)

const openFilesLimit = "RLIMIT_NOFILE"

// limitsOpenFiles reports whether a process has a limit of its own.
func limitsOpenFiles(p *specs.Process) bool {
	return p != nil && slices.ContainsFunc(p.Rlimits, func(l specs.POSIXRlimit) bool { return l.Type == openFilesLimit })
}

// openFiles returns RLIMIT_NOFILE as this process was started with, nil where it still is so. The Go
// runtime raises the soft limit to one below the hard one at its start, and gives the old one back only
// to what package syscall executes (syscall/rlimit.go). So that starts a program, whose first instruction
// never comes, as it is traced.
func openFiles() (*specs.POSIXRlimit, error) {
	var now, old unix.Rlimit
	if err := unix.Prlimit(0, unix.RLIMIT_NOFILE, nil, &now); err != nil {
		return nil, fmt.Errorf("read %s: %w", openFilesLimit, err)
	}
	if now.Cur != now.Max-1 {
		return nil, nil
	}
	err := kernel.OnThread(func() error { // which the program dies with
		p, err := os.StartProcess(ownProgram, os.Args[:1], &os.ProcAttr{Sys: &syscall.SysProcAttr{Ptrace: true, Pdeathsig: syscall.SIGKILL}})
		if err != nil {
			return err
		}
		err = errors.Join(unix.Prlimit(p.Pid, unix.RLIMIT_NOFILE, nil, &old), p.Kill())
		_, waitErr := p.Wait()
		return errors.Join(err, waitErr)
	})
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return nil, nil // kernel.yama.ptrace_scope is 3, or SELinux says so: it may not be traced
	}
	if err != nil {
		return nil, fmt.Errorf("look at %s of a program: %w", openFilesLimit, err)
	}
	return &specs.POSIXRlimit{Type: openFilesLimit, Soft: old.Cur, Hard: old.Max}, nil
}
