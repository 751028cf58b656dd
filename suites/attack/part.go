package attack

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// part is a child of the attacker that runs a part of its attack: one that may be killed.
type part struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader

	pipe io.Closer
}

// part starts a part of an attack as a child. Files become its descriptors from 3 on.
func (a *Attempt) part(what Attack, t Target, files ...*os.File) (*part, error) {
	cmd := a.AgainAt(what, t)
	cmd.ExtraFiles = files
	cmd.Stderr = os.Stderr // there may be no /dev/null
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	return &part{cmd: cmd, in: in, out: bufio.NewReader(out), pipe: out}, cmd.Start()
}

// hears returns the next line that the part says; "" when it has ended.
func (h *part) hears() string {
	line, err := h.out.ReadString('\n')
	if err != nil {
		return ""
	}
	return strings.TrimSpace(line)
}

// wait waits for the part's end. A kill that was not ours is the kernel's answer to a lack of
// memory: ENOMEM.
func (h *part) wait() error {
	err := h.cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		if s, ok := exit.Sys().(syscall.WaitStatus); ok && s.Signaled() && s.Signal() == syscall.SIGKILL {
			return unix.ENOMEM
		}
		return unix.EIO
	}
	return err
}

// silence has hears return.
func (h *part) silence() { _ = h.pipe.Close() }

// end kills the part.
func (h *part) end() {
	_ = h.cmd.Process.Kill()
	_ = h.cmd.Wait()
}

// stay writes a line to the attacker from inside a part, and stays until it is killed.
func stay(line string) {
	_, _ = os.Stdout.WriteString(line + "\n")
	for {
		_, _ = unix.Ppoll(nil, nil, nil)
	}
}
