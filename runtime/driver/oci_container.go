package driver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/cgroup"
	"cellwall/runtime/cleanup"
)

func (c *ociContainer) Pid() int { return c.init.pid }

func (c *ociContainer) Start(ctx context.Context) error { return c.command(ctx, "start", c.bundle.ID) }

func (c *ociContainer) Wait(ctx context.Context) (Status, error) { return c.init.wait(ctx) }

// Kill does not leave it to the runtime to say that nobody is there: each has its own words.
func (c *ociContainer) Kill(sig unix.Signal) error {
	if c.init.over() {
		return os.ErrProcessDone
	}
	err := c.bounded("kill", c.bundle.ID, strings.TrimPrefix(unix.SignalName(sig), "SIG"))
	if err != nil && c.init.over() {
		return os.ErrProcessDone
	}
	return err
}

// Delete has the runtime delete the container, and then looks for what it has left: that is an
// error, and removed all the same.
func (c *ociContainer) Delete(context.Context) error { return c.undo.Close() }

func (c *ociContainer) State() specs.State {
	return specs.State{Version: specs.Version, ID: c.bundle.ID, Bundle: c.dir, Pid: c.init.pid}
}

// sweepGroups names and removes what a runtime has left behind: processes in the group of its own, and groups at
// some paths below the hierarchies; an empty path is none.
func sweepGroups(manager *cgroup.Group, procs []int, at ...string) (left []string, err error) {
	var errs []error
	left = named(procs)
	if len(procs) > 0 {
		ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
		errs = append(errs, manager.Kill(ctx))
		cancel()
	}
	for _, below := range at {
		if below == "" {
			continue
		}
		groups, err := cgroup.At(below)
		errs = append(errs, err)
		for _, path := range groups {
			left = append(left, "cgroup "+path)
			errs = append(errs, cgroup.Remove(path))
		}
	}
	return left, errors.Join(errs...)
}

// sweep names and removes what the runtime has left behind: processes of its own, control groups,
// files of its state.
func (c *ociContainer) sweep() error {
	procs, err := c.manager.Procs()
	left, swept := sweepGroups(c.manager, procs, c.below, c.strayed)
	errs := []error{err, swept}
	for _, dir := range []string{c.dir, c.at(stateDir)} {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
		for _, e := range entries {
			if dir != c.dir || !slices.Contains([]string{configFile, stateDir, pidFile, logFile}, e.Name()) {
				left = append(left, "file "+filepath.Join(filepath.Base(dir), e.Name()))
			}
		}
	}
	return errors.Join(append(errs, cleanup.LeftBy(c.name, left))...)
}

// maxPid is more than a pid and a newline.
const maxPid = 40

// readSome reads the start of a file that somebody else has written, at most n bytes.
func readSome(path string, n int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // read-only
	return io.ReadAll(io.LimitReader(f, n))
}

// awaitFile begins to wait for the process whose pid is in a file.
func awaitFile(path string) (*awaited, error) {
	raw, err := readSome(path, maxPid)
	if err != nil {
		return nil, fmt.Errorf("read the pid file: %w", err)
	}
	var pid int
	if _, err := fmt.Sscan(string(raw), &pid); err != nil || pid <= 1 {
		return nil, fmt.Errorf("the pid file says %.40q", raw)
	}
	a, err := await(pid)
	if err != nil {
		return nil, fmt.Errorf("the pid file: %w", err)
	}
	return a, nil
}
