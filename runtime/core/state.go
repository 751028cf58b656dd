package core

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
)

// Entry is a container as another process finds it: what is written down under StateDir.
type Entry struct {
	specs.State
	// StartTime is field 22 of /proc/PID/stat: with it a recycled pid is told from the
	// container's init.
	StartTime uint64      `json:"startTime"`
	Spec      *specs.Spec `json:"spec"`
}

const stateFile = "state.json"

// Save writes the container's entry below dir, and has Delete remove it. The directory is
// readable by root alone: the spec may hold secrets in its environment.
func (c *Container) Save(dir string) error {
	start, err := startTime(c.Pid())
	if err != nil {
		return err
	}
	raw, err := json.Marshal(Entry{State: c.State(), StartTime: start, Spec: c.options.Spec})
	if err != nil {
		return fmt.Errorf("save state of %s: %w", c.id, err)
	}
	place := filepath.Join(dir, c.id)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("save state of %s: %w", c.id, err)
	}
	if err := os.Mkdir(place, 0o700); err != nil {
		if errors.Is(err, os.ErrExist) {
			return fmt.Errorf("a container named %s is there already: take another name, or run cellwall clean", c.id)
		}
		return fmt.Errorf("save state of %s: %w", c.id, err)
	}
	c.undo.Push("remove the state", func() error { return os.RemoveAll(place) })
	// Whole or not at all: clean takes a container without a state for one that is gone.
	file := filepath.Join(place, stateFile)
	if err := os.WriteFile(file+".new", raw, 0o600); err != nil {
		return fmt.Errorf("save state of %s: %w", c.id, err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		return fmt.Errorf("save state of %s: %w", c.id, err)
	}
	return nil
}

// Find reads the entry of a container that runs. An id that no container has is an error that
// wraps os.ErrNotExist.
func Find(dir, id string) (*Entry, error) {
	if err := ValidID(id); err != nil {
		return nil, err
	}
	raw, err := os.ReadFile(filepath.Join(dir, id, stateFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("container %s does not run here (cellwall run --id %s makes it): %w", id, id, os.ErrNotExist)
	}
	if err != nil {
		return nil, fmt.Errorf("container %s: %w", id, err)
	}
	var e Entry
	if err := json.Unmarshal(raw, &e); err != nil {
		return nil, fmt.Errorf("container %s: parse its state: %w", id, err)
	}
	if e.Spec == nil || e.Spec.Process == nil {
		return nil, fmt.Errorf("container %s: its state holds no spec", id)
	}
	start, err := startTime(e.Pid)
	if err != nil || start != e.StartTime {
		return nil, fmt.Errorf("container %s: its init is gone (cellwall clean removes what is left): %w", id, os.ErrNotExist)
	}
	return &e, nil
}

// startTime reads when a process started, in clock ticks after boot: proc_pid_stat(5).
func startTime(pid int) (uint64, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(err, os.ErrNotExist) {
		err = unix.ESRCH
	}
	if err != nil {
		return 0, fmt.Errorf("read start time of process %d: %w", pid, err)
	}
	return parseStartTime(string(stat))
}

func parseStartTime(stat string) (uint64, error) {
	const starttime = 22
	field, err := kernel.StatField(stat, starttime)
	if err != nil {
		return 0, err
	}
	var t uint64
	if _, err := fmt.Sscan(field, &t); err != nil {
		return 0, fmt.Errorf("parse /proc/PID/stat: start time %q: %w", field, err)
	}
	return t, nil
}
