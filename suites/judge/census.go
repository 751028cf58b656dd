package judge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"cellwall/reports/record"
)

// census is what a trial could leave on the host, as sorted lists of names.
type census struct {
	descriptors, mounts, groups, children, namespaces []string
}

// census counts. Anything that belongs to the host's own life is left out: only what this
// process holds, its mount namespace, the run's cgroups and its children.
func (j *Judge) census() (census, error) {
	var c census
	var err error
	if c.descriptors, err = descriptors(); err != nil {
		return c, err
	}
	if c.mounts, err = lines("/proc/self/mountinfo"); err != nil {
		return c, err
	}
	for _, h := range j.Fence.Hierarchies() {
		entries, err := os.ReadDir(h.Path)
		if err != nil {
			return c, fmt.Errorf("count cgroups: %w", err)
		}
		for _, e := range entries {
			if e.IsDir() {
				c.groups = append(c.groups, filepath.Join(h.Path, e.Name()))
			}
		}
	}
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return c, fmt.Errorf("count children: %w", err)
	}
	read := 0
	for _, t := range tasks {
		b, err := os.ReadFile(filepath.Join("/proc/self/task", t.Name(), "children"))
		if err == nil { // a thread may have ended meanwhile
			read++
			c.children = append(c.children, strings.Fields(string(b))...)
		}
	}
	if read == 0 {
		return c, errors.New("count children: no thread has /proc/PID/task/TID/children (CONFIG_PROC_CHILDREN)")
	}
	// Only of processes that are ours: others on the host come and go as they like. One that no
	// process is in shows as a descriptor or a mount.
	fenced, err := j.Fence.Procs()
	if err != nil {
		return c, fmt.Errorf("count processes: %w", err)
	}
	for _, pid := range fenced {
		// An orphan is the child of the host's init by now, but still in the fence.
		c.children = append(c.children, strconv.Itoa(pid))
	}
	for _, pid := range c.children {
		if link, err := os.Readlink("/proc/" + pid + "/ns/net"); err == nil {
			c.namespaces = append(c.namespaces, link)
		}
	}
	slices.Sort(c.namespaces)
	c.namespaces = slices.Compact(c.namespaces)
	return c, nil
}

func descriptors() ([]string, error) {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil, fmt.Errorf("count descriptors: %w", err)
	}
	var list []string
	for _, e := range entries {
		target, err := os.Readlink(filepath.Join("/proc/self/fd", e.Name()))
		if err == nil && !strings.HasSuffix(target, "/fd") { // the listing itself
			list = append(list, e.Name()+" "+target)
		}
	}
	return list, nil
}

func lines(path string) ([]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("count mounts: %w", err)
	}
	defer f.Close() //nolint:errcheck // read-only
	var list []string
	all, err := io.ReadAll(f)
	if err != nil {
		return nil, fmt.Errorf("count mounts: %w", err)
	}
	for line := range strings.Lines(string(all)) {
		list = append(list, strings.TrimSuffix(line, "\n"))
	}
	return list, nil
}

// passing is how long a mount that does not bear the run's name may stay: other programs of the host
// mount too, such as crun, which mounts its own binary at each start.
const passing = time.Second

// leaks names what is there now and was not before.
func (j *Judge) leaks(before census) []string {
	for end := time.Now().Add(passing); ; {
		after, err := j.census()
		if err != nil {
			return []string{err.Error()}
		}
		leaks := after.beyond(before)
		if !slices.ContainsFunc(leaks, j.others) || time.Now().After(end) {
			return leaks
		}
		if err := mountsChange(passing / 20); err != nil {
			return append(leaks, err.Error())
		}
	}
}

// others reports whether a leak may be another program's: a mount that nothing ties to the run.
func (j *Judge) others(leak string) bool {
	return strings.HasPrefix(leak, "mount ") && !strings.Contains(leak, j.Name)
}

// strange reports whether all that is left may be another program's.
func (j *Judge) strange(leaks []string) bool {
	return len(leaks) > 0 && !slices.ContainsFunc(leaks, func(l string) bool { return !j.others(l) })
}

// leavesAgain runs trials once more, and reports whether they leave something then too: the kernel does not
// say who has mounted, and a runtime may leave a mount anywhere. One that it makes only once on a host passes for
// another program's. Where they end in another way nothing is known, and it does.
func (j *Judge) leavesAgain(ctx context.Context, tries []try, together bool, first []record.Trial) bool {
	before, err := j.census()
	if err != nil {
		return true
	}
	again := j.tryAll(ctx, tries, together)
	same := slices.EqualFunc(first, again, func(a, b record.Trial) bool { return a.Outcome == b.Outcome })
	return !same || len(j.leaks(before)) > 0
}

// mountsChange waits for a change of the mount table, and not longer than that: one may have been just
// before.
func mountsChange(most time.Duration) error {
	f, err := os.Open("/proc/self/mountinfo") // polled: proc_pid_mountinfo(5)
	if err != nil {
		return fmt.Errorf("wait for a mount to go: %w", err)
	}
	defer f.Close() //nolint:errcheck // read-only
	poll := []unix.PollFd{{Fd: int32(f.Fd()), Events: unix.POLLPRI}}
	if _, err := unix.Poll(poll, int(most.Milliseconds())); err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("wait for a mount to go: %w", err)
	}
	return nil
}

// beyond names what is in a census and was not in the one before.
func (c census) beyond(before census) []string {
	var leaks []string
	for _, kind := range []struct {
		name          string
		before, after []string
	}{
		{"descriptor", before.descriptors, c.descriptors},
		{"mount", before.mounts, c.mounts},
		{"cgroup", before.groups, c.groups},
		{"process", before.children, c.children},
		{"network namespace", before.namespaces, c.namespaces},
	} {
		for _, name := range kind.after {
			if !slices.Contains(kind.before, name) {
				leaks = append(leaks, kind.name+" "+name)
			}
		}
	}
	return leaks
}
