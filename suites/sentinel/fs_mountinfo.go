package sentinel

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/spec"
	"cellwall/suites/attack"
)

// NothingOfTheHost is a directory of the host that no mount shows, with a canary: the target's Path and,
// in the directory, Name. It looks for mounts of the host's file systems that the spec does not ask for,
// and for volumes that show something else than what was asked for.
func NothingOfTheHost(s *Stage) (*Watch, error) {
	dir, err := s.outsideDir()
	if err != nil {
		return nil, err
	}
	v, err := s.sharedDirectory()
	if err != nil {
		return nil, err
	}
	const name = "canary"
	w := &Watch{
		Edits:  spec.Edits{v.bind("ro")},
		Target: attack.Target{Path: filepath.Join(dir, name), Name: name},
		Look:   after(s.LookForNonce, "open ", "list mounts"),
	}
	return w.census(s, "mounts of the host that are not asked for", func(pid int, asked *specs.Spec) ([]string, error) {
		host, err := mountList("/proc/self")
		if err != nil {
			return nil, err
		}
		own, err := mountList(fmt.Sprintf("/proc/%d", pid))
		if err != nil {
			return nil, err
		}
		other, err := swapped(pid, asked)
		return append(unasked(own, host, asked), other...), err
	}), nil
}

// swapped returns the destinations of a spec's binds at which a process sees something else than their
// source.
func swapped(pid int, asked *specs.Spec) (all []string, err error) {
	sources := map[string]string{}
	for _, m := range asked.Mounts {
		at := path.Clean(m.Destination)
		delete(sources, at) // the last mount is the one that is seen
		if m.Type == "bind" || slices.Contains(m.Options, "bind") || slices.Contains(m.Options, "rbind") {
			sources[at] = m.Source
		}
	}
	return all, insideRoot(pid, slices.Sorted(maps.Keys(sources)), func(at string, fd int) error {
		var seen, source unix.Stat_t
		if err := errors.Join(unix.Fstat(fd, &seen), unix.Stat(sources[at], &source)); err != nil {
			return err
		}
		if seen.Dev != source.Dev || seen.Ino != source.Ino {
			all = append(all, at)
		}
		return nil
	})
}

// mount is a line of proc_pid_mountinfo(5).
type mount struct {
	device string // of its file system, major:minor
	root   string // what it shows of that
	point  string // where, from the root directory of the process
	group  string // of its peers, "shared:2"; empty where it is not shared
}

// parseMount returns the zero mount for a line that is none.
func parseMount(line string) mount {
	const device, root, point, optional = 2, 3, 4, 6
	f := strings.Fields(line)
	if len(f) < optional {
		return mount{}
	}
	m := mount{device: f[device], root: unescape(f[root]), point: unescape(f[point])}
	for _, field := range f[optional:] {
		if field == "-" {
			break
		}
		if strings.HasPrefix(field, "shared:") {
			m.group = field
		}
	}
	return m
}

// unescape returns a path as it is: show_mountinfo() of the kernel writes four characters in octal.
func unescape(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}

// peered returns the mount points of a list of mounts that have a peer in another: what is mounted on
// one of them is mounted on all.
func peered(mounts, others []string) (all []string) {
	for _, line := range mounts {
		m := parseMount(line)
		if m.group != "" && slices.ContainsFunc(others, func(o string) bool { return parseMount(o).group == m.group }) {
			all = append(all, m.point)
		}
	}
	return all
}

// unasked returns the mount points that show a file system of the host without a word of the spec: one
// that the host has mounted, or one on a block device. The root directory is always asked for.
func unasked(mounts, host []string, asked *specs.Spec) (all []string) {
	for _, line := range mounts {
		m := parseMount(line)
		if m.point == "/" || isAsked(m, asked) {
			continue
		}
		onDevice := !strings.HasPrefix(m.device, "0:")
		if onDevice || slices.ContainsFunc(host, func(h string) bool { return parseMount(h).device == m.device }) {
			all = append(all, m.point)
		}
	}
	return all
}

// isAsked reports whether a spec asks for a mount of the host's: as one of its mounts, or in one that is
// recursive or made of several, as a mask or a read-only path, or as a default device, which a runtime
// binds where it may not make it.
func isAsked(m mount, s *specs.Spec) bool {
	for _, o := range s.Mounts {
		if o.Type == "tmpfs" || o.Type == "devpts" {
			continue // a new file system each time, and never the host's
		}
		below := slices.Contains(o.Options, "rbind") || strings.HasPrefix(o.Type, "cgroup")
		at := path.Clean(o.Destination)
		if m.point == at || below && strings.HasPrefix(m.point, at+"/") {
			return true
		}
	}
	for _, p := range slices.Concat(s.Linux.MaskedPaths, s.Linux.ReadonlyPaths) {
		if m.point == path.Clean(p) {
			return true
		}
	}
	dir, name := path.Split(m.point)
	return dir == "/dev/" && path.Base(m.root) == name && slices.Contains([]string{"null", "zero", "full", "random", "urandom", "tty"}, name)
}
