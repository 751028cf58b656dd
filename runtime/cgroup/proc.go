package cgroup

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
)

// mount is a line of mountinfo that shows a control group hierarchy.
type mount struct {
	root  string // the group, seen from the reader's cgroup namespace, that point shows
	point string // where it is mounted
	v2    bool
	// controllers of a v1 hierarchy, under v1's names; a named one has "name=systemd".
	controllers []string
}

// membership is a line of /proc/PID/cgroup.
type membership struct {
	controllers []string // nil: v2
	path        string
}

// v1Controllers are the super block options that name a controller; the others are options.
var v1Controllers = []string{
	"blkio", "cpu", "cpuacct", "cpuset", "debug", "devices", "freezer", "hugetlb", "memory", "misc",
	"net_cls", "net_prio", "perf_event", "pids", "rdma",
}

// parseMountinfo returns the cgroup mounts of a file in the form of proc_pid_mountinfo(5), in
// its order. Lines of other file systems need not be well formed.
func parseMountinfo(r io.Reader) ([]mount, error) {
	var found []mount
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20) // an overlay's options can be longer than the default 64 KiB
	for lines.Scan() {
		before, after, ok := strings.Cut(lines.Text(), " - ")
		tail := strings.Split(after, " ")
		if !ok || tail[0] != "cgroup" && tail[0] != "cgroup2" {
			continue
		}
		fields := strings.Split(before, " ")
		if len(fields) < 6 || len(tail) < 3 {
			return nil, fmt.Errorf("parse mountinfo: short line %q", lines.Text())
		}
		m := mount{root: unescape(fields[3]), point: unescape(fields[4]), v2: tail[0] == "cgroup2"}
		if !path.IsAbs(m.root) || !path.IsAbs(m.point) {
			return nil, fmt.Errorf("parse mountinfo: relative path in %q", lines.Text())
		}
		if !m.v2 {
			for o := range strings.SplitSeq(tail[2], ",") {
				if slices.Contains(v1Controllers, o) || strings.HasPrefix(o, "name=") {
					m.controllers = append(m.controllers, unescape(o))
				}
			}
		}
		found = append(found, m)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("parse mountinfo: %w", err)
	}
	return found, nil
}

// parseMemberships reads a file in the form of /proc/PID/cgroup, see cgroups(7).
func parseMemberships(r io.Reader) ([]membership, error) {
	var found []membership
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		fields := strings.SplitN(lines.Text(), ":", 3)
		if len(fields) != 3 || !path.IsAbs(fields[2]) {
			return nil, fmt.Errorf("parse /proc/PID/cgroup: line %q", lines.Text())
		}
		m := membership{path: fields[2]}
		switch {
		case fields[1] != "":
			m.controllers = strings.Split(fields[1], ",")
		case fields[0] != "0":
			return nil, fmt.Errorf("parse /proc/PID/cgroup: line %q", lines.Text())
		}
		found = append(found, m)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("parse /proc/PID/cgroup: %w", err)
	}
	return found, nil
}

// locate returns the directory under m that shows the group p, or false where m shows another
// part of the hierarchy. Both root and p are relative to the reader's cgroup namespace, and may
// start with "/.." where they lie outside of it.
func (m mount) locate(p string) (string, bool) {
	if m.root == "/" {
		if p == "/.." || strings.HasPrefix(p, "/../") {
			return "", false
		}
		return path.Join(m.point, p), true
	}
	if p == m.root {
		return m.point, true
	}
	below, ok := strings.CutPrefix(p, m.root+"/")
	if !ok || below == ".." || strings.HasPrefix(below, "../") {
		return "", false
	}
	return path.Join(m.point, below), true
}

// unescape undoes the octal escapes of seq_path: space, tab, newline, backslash, '#'.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) && octal(s[i+1]) && octal(s[i+2]) && octal(s[i+3]) {
			b.WriteByte((s[i+1]-'0')<<6 | (s[i+2]-'0')<<3 | (s[i+3] - '0'))
			i += 3
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func octal(c byte) bool { return '0' <= c && c <= '7' }

func parseFile[T any](name string, parse func(io.Reader) ([]T, error)) ([]T, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("find cgroups: %w", err)
	}
	defer f.Close() //nolint:errcheck // nothing was written
	return parse(f)
}
