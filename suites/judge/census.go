package judge

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
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

// leaks names what is there now and was not before.
func (j *Judge) leaks(before census) []string {
	after, err := j.census()
	if err != nil {
		return []string{err.Error()}
	}
	var leaks []string
	for _, kind := range []struct {
		name          string
		before, after []string
	}{
		{"descriptor", before.descriptors, after.descriptors},
		{"mount", before.mounts, after.mounts},
		{"cgroup", before.groups, after.groups},
		{"process", before.children, after.children},
		{"network namespace", before.namespaces, after.namespaces},
	} {
		for _, name := range kind.after {
			if !slices.Contains(kind.before, name) {
				leaks = append(leaks, kind.name+" "+name)
			}
		}
	}
	return leaks
}
