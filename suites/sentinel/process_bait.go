package sentinel

import (
	"bufio"
	"errors"
	"fmt"
	"math/bits"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"cellwall/suites/sentinel/stub"
)

// Process is a host process as a bait. It is stopped, so that every signal it gets stays
// pending, where the kernel shows it: no handler has to be believed.
type Process struct {
	cmd     *exec.Cmd
	address uint64
	gone    chan struct{} // closed at its end
	// What was pending when it stopped: the Go runtime signals its own threads, SIGURG, at any time.
	wholeThen, singleThen uint64
}

// ProcessOptions change a bait process. The zero value is one of the harness's own user.
type ProcessOptions struct {
	UID        uint32 // its uid and gid
	Files      []*os.File
	Env        []string
	Cloneflags uintptr // new namespaces for it: a sacrificial stand-in for the host's
}

// Process starts a bait process. It ends with the stage.
func (s *Stage) Process() (*Process, error) { return s.ProcessWith(ProcessOptions{}) }

// ProcessWith is Process with options. The nonce is in its arguments and in its memory.
func (s *Stage) ProcessWith(o ProcessOptions) (*Process, error) {
	self, err := executable(s.Binary)
	if err != nil {
		return nil, fmt.Errorf("start sentinel process: %w", err)
	}
	defer self.Close() //nolint:errcheck // read-only
	cmd := exec.Command(procPath(self), s.Nonce)
	cmd.Args[0] = stub.Program
	cmd.Env = append([]string{}, o.Env...)
	cmd.ExtraFiles = o.Files
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: o.Cloneflags, Pdeathsig: syscall.SIGKILL}
	if o.UID != 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: o.UID, Gid: o.UID}
	}
	// The process ends when its input does, and its input is held by us alone.
	if _, err := cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("start sentinel process: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start sentinel process: %w", err)
	}
	p := &Process{cmd: cmd, gone: make(chan struct{})}
	if err := startLasting(p.cmd, p.gone); err != nil {
		return nil, fmt.Errorf("start sentinel process: %w", err) // which has closed the pipes
	}
	s.Undo.Push("end sentinel process", p.end)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("hear from sentinel process: %w", err)
	}
	if p.address, err = strconv.ParseUint(strings.TrimSpace(line), 10, 64); err != nil {
		return nil, fmt.Errorf("hear from sentinel process: %w", err)
	}
	return p, p.stop()
}

// stop sends SIGSTOP and waits until the process has stopped.
func (p *Process) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		return fmt.Errorf("stop sentinel process: %w", err)
	}
	var status unix.WaitStatus
	if _, err := unix.Wait4(p.PID(), &status, unix.WUNTRACED, nil); err != nil {
		return fmt.Errorf("stop sentinel process: %w", err)
	}
	if !status.Stopped() {
		return errors.New("sentinel process ended instead of stopping")
	}
	// All of its threads have stopped by now: whatever comes from here on is somebody else's.
	var err error
	p.wholeThen, p.singleThen, err = p.pending()
	return err
}

func (p *Process) end() error {
	defer close(p.gone)
	err := p.cmd.Process.Kill()
	if errors.Is(err, os.ErrProcessDone) {
		err = nil
	}
	var exited *exec.ExitError
	if waitErr := p.cmd.Wait(); waitErr != nil && !errors.As(waitErr, &exited) {
		err = errors.Join(err, waitErr)
	}
	return err
}

// PID is the process's pid in the host's pid namespace.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Address is where the nonce lies in its memory.
func (p *Process) Address() uint64 { return p.address }

// NamespacePath is the file of one of its namespaces, by its name in /proc/PID/ns.
func (p *Process) NamespacePath(name string) string {
	return fmt.Sprintf("/proc/%d/ns/%s", p.PID(), name)
}

// pending are the signals that have come for the process as a whole and for single threads of it
// since it stopped, as sets: bit n-1 is signal n. A process that is gone was killed: then all have.
func (p *Process) pending() (whole, single uint64, err error) {
	dir := fmt.Sprintf("/proc/%d", p.PID())
	files := []string{dir + "/status"}
	tasks, err := filepath.Glob(dir + "/task/*/status")
	if err != nil {
		return 0, 0, err
	}
	const killed = ^uint64(0)
	for i, f := range append(files, tasks...) {
		status, err := os.ReadFile(f)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			return killed, killed, nil
		}
		if err != nil {
			return 0, 0, fmt.Errorf("read signals of the sentinel: %w", err)
		}
		field, into := "SigPnd:", &single
		if i == 0 {
			field, into = "ShdPnd:", &whole
			if state := StatusField(string(status), "State:"); strings.HasPrefix(state, "Z") || strings.HasPrefix(state, "X") {
				return killed, killed, nil
			}
		}
		mask, err := strconv.ParseUint(StatusField(string(status), field), 16, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("read signals of the sentinel: %w", err)
		}
		*into |= mask
	}
	return whole &^ p.wholeThen, single &^ p.singleThen, nil
}

// has reports whether a signal is in a set of them.
func has(set uint64, signal unix.Signal) bool { return set&(1<<(signal-1)) != 0 }

// Signals counts the signals that are pending for the process and its threads.
func (p *Process) Signals() (int, error) {
	whole, single, err := p.pending()
	return bits.OnesCount64(whole) + bits.OnesCount64(single), err
}
