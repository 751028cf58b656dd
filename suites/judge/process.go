package judge

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"cellwall/runtime/cleanup"
	"cellwall/suites/attack"
)

const killSignal = unix.SIGKILL

// findProcess returns the host's pid of the process whose arguments are the attacker's, with the
// token last, whatever the runtime says. The runtime's own idea of it is only a hint, but one that
// may have more of them: programs that become the attacker carry its arguments behind their own.
func findProcess(token string, hint int) (int, error) {
	if args := argumentsOf(hint); len(args) > 0 && args[len(args)-1] == token {
		return hint, nil
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0, fmt.Errorf("find the attacker: %w", err)
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if args := argumentsOf(pid); len(args) == attack.Arguments && args[attack.Arguments-1] == token {
			return pid, nil
		}
	}
	return 0, errors.New("find the attacker: no process on this host has its token in its arguments")
}

// endStrays kills the processes of this host that still carry the token, which is nobody else's, and
// says that they were left: wherever the runtime has moved them, no cgroup of ours need hold them.
func endStrays(who, token string) error {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return fmt.Errorf("look for what was left: %w", err)
	}
	var left []string
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || !slices.Contains(argumentsOf(pid), token) {
			continue
		}
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			continue // it has ended
		}
		// Asked again, since only now the pid can be no other's.
		if slices.Contains(argumentsOf(pid), token) {
			left = append(left, "process "+e.Name())
			err = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
		}
		if err := errors.Join(err, unix.Close(fd)); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("end process %d: %w", pid, err)
		}
	}
	return cleanup.LeftBy(who, left)
}

// argumentsOf are a process's arguments; none of one that has ended or shows none.
func argumentsOf(pid int) []string {
	if pid <= 0 {
		return nil
	}
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	if err != nil || len(b) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(b), "\x00"), "\x00")
}

// tail keeps the start of what a container writes to its standard error, and drains the rest,
// so that no flood stops the writer or fills our memory.
type tail struct {
	write *os.File

	read *os.File
	done chan struct{}
	mu   sync.Mutex
	kept bytes.Buffer
}

const (
	maxTail   = 4 << 10
	drainWait = time.Second
)

func newTail() (*tail, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe: %w", err)
	}
	t := &tail{read: read, write: write, done: make(chan struct{})}
	go func() {
		defer close(t.done)
		_, _ = io.Copy(t, read) // ends with the pipe
	}()
	return t, nil
}

// Write keeps what fits and forgets the rest.
func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept.Write(b[:min(len(b), maxTail-t.kept.Len())])
	return len(b), nil
}

func (t *tail) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.kept.String()
}

// drain takes in what is in the pipe once the writer has ended. What another process that holds
// the pipe may yet write is waited for no longer than drainWait.
func (t *tail) drain() {
	if t.read.SetReadDeadline(time.Now().Add(drainWait)) == nil {
		<-t.done
	}
}

func (t *tail) close() error {
	err := t.read.Close()
	<-t.done
	return err
}
