package bench

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"cellwall/runtime/cgroup"
	"cellwall/runtime/kernel"
)

// terminal is a thread that runs commands as a person does at a terminal, in a copy of the host's mounts:
// what a command mounts never reaches the host.
type terminal struct {
	jobs chan func()
	gone chan struct{}
}

func (e *Env) newTerminal() (*terminal, error) {
	t := &terminal{jobs: make(chan func()), gone: make(chan struct{})}
	ready := make(chan error)
	go kernel.ThrowAway(func() {
		defer close(t.gone)
		err := e.moveIn()
		ready <- err
		if err != nil {
			return
		}
		for job := range t.jobs {
			job()
		}
	})
	if err := <-ready; err != nil {
		<-t.gone
		return nil, err
	}
	return t, nil
}

// moveIn takes the calling thread into a copy of the mounts.
func (e *Env) moveIn() error {
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("copy the mounts: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("copy the mounts: %w", err)
	}
	// crun up to 1.8 cannot use v1 beside a cgroup2 mount.
	if path, err := e.ociProgram(); err != nil || filepath.Base(path) != "crun" || e.Tree.Mode() != cgroup.Hybrid {
		return nil //nolint:nilerr // it is no OCI runtime
	}
	for _, h := range e.Fence.Hierarchies() {
		if point := strings.TrimSuffix(h.Path, h.Below); h.V2 {
			if err := unix.Unmount(point, unix.MNT_DETACH); err != nil {
				return fmt.Errorf("hide %s from crun: %w", point, err)
			}
		}
	}
	return nil
}

// run runs a command and waits for its end. An error has what it wrote.
func (t *terminal) run(cmd *exec.Cmd) error {
	var said strings.Builder
	cmd.Stderr = &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	done := make(chan error)
	t.jobs <- func() { done <- cmd.Run() }
	if err := <-done; err != nil {
		return fmt.Errorf("%s: %w: it wrote %.300q", filepath.Base(cmd.Path), err, said.String())
	}
	return nil
}

func (t *terminal) close() error {
	if t == nil {
		return errors.New("it was never made")
	}
	close(t.jobs)
	<-t.gone
	return nil
}
