package sentinel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/spec"
	"cellwall/suites/attack"
)

// census completes the watch over an attack on one mount: wider names all mounts that are less closed
// than the spec says, as the finding calls them. The spec is the one before a control's edit, so that a
// control has to break both. Of a sandbox's mounts the host sees nothing.
func (w *Watch) census(s *Stage, what string, wider func(pid int, asked *specs.Spec) ([]string, error)) *Watch {
	if s.Sandboxed {
		return w
	}
	var asked *specs.Spec // nil, where a container has no mounts of its own
	var found []string
	w.Edits = append(w.Edits, spec.Change("nothing: the spec is kept for a census", func(sp *specs.Spec) {
		if spec.HasNamespace(sp, specs.MountNamespace) {
			asked = spec.Clone(sp)
		}
	}))
	ready, look := w.Ready, w.Look
	w.Ready = func(ctx context.Context, a *Subject) (err error) {
		if asked != nil {
			if found, err = wider(a.PID, asked); err != nil {
				return err
			}
		}
		if ready == nil {
			return nil
		}
		return ready(ctx, a)
	}
	w.Look = func(ctx context.Context, a *Subject, r attack.Record) (Finding, error) {
		f, err := look(ctx, a, r)
		if asked == nil {
			return f, err
		}
		f.Evidence = strings.TrimPrefix(fmt.Sprintf("%s; %d %s", f.Evidence, len(found), what), "; ")
		if len(found) > 0 {
			f.Evidence += fmt.Sprintf(": %q", found)
		}
		return f.of(part{"the attack", f.Breached}, part{what, len(found) > 0}), err
	}
	return w
}

// flagBits are flags of mounts as statfs(2) has them.
var flagBits = map[string]int64{"ro": unix.ST_RDONLY, "nosuid": unix.ST_NOSUID, "nodev": unix.ST_NODEV, "noexec": unix.ST_NOEXEC}

// flagged is a census of the mounts that are to have a flag. That the kernel would refuse what it
// forbids for another reason too, as an exec from procfs, is no excuse: it was asked for.
func (w *Watch) flagged(s *Stage, flag string) *Watch {
	return w.census(s, "mounts without "+flag, func(pid int, asked *specs.Spec) ([]string, error) {
		return unflagged(pid, flag, destinations(asked, flag))
	})
}

// closedCgroups is a census of a container's mounts of cgroups, which it is to see read-only wherever they
// are: a second mount is as good as the first.
func (w *Watch) closedCgroups(s *Stage) *Watch {
	return w.census(s, "writable mounts of cgroups", func(pid int, _ *specs.Spec) ([]string, error) {
		mounts, err := mountList(fmt.Sprintf("/proc/%d", pid))
		return writableMounts(mounts, "cgroup", "cgroup2"), err
	})
}

// writableMounts returns the mount points of some kinds of file system, of lines of mountinfo, to which
// neither the mount nor the file system forbids writing.
func writableMounts(lines []string, kinds ...string) (all []string) {
	const point, options = 4, 5
	for _, line := range lines {
		mount, filesystem, _ := strings.Cut(line, " - ")
		m, f := strings.Fields(mount), strings.Fields(filesystem)
		if len(m) <= options || len(f) < 3 || !slices.Contains(kinds, f[0]) {
			continue
		}
		if !hasFlag(strings.Split(m[options], ","), "ro") && !hasFlag(strings.Split(f[2], ","), "ro") {
			all = append(all, m[point])
		}
	}
	return all
}

// destinations are those of a spec's mounts that are to have a flag.
func destinations(s *specs.Spec, flag string) []string {
	var all []string
	for _, m := range s.Mounts {
		if hasFlag(m.Options, flag) {
			all = append(all, m.Destination)
		}
	}
	return all
}

// hasFlag reports whether mount options set a flag. The last that is about it counts.
func hasFlag(options []string, flag string) bool {
	opposite := strings.TrimPrefix(flag, "no")
	if flag == "ro" {
		opposite = "rw"
	}
	has := false
	for _, o := range options {
		switch o {
		case flag, "r" + flag:
			has = true
		case opposite, "r" + opposite:
			has = false
		}
	}
	return has
}

// unflagged returns those of the paths in a process's root directory that lie on a mount without a flag, and
// says of which the mount was never made.
func unflagged(pid int, flag string, paths []string) (all []string, err error) {
	return all, insideRoot(pid, paths, func(path string, fd int) error {
		var fs unix.Statfs_t
		var x unix.Statx_t
		if err := errors.Join(unix.Fstatfs(fd, &fs), unix.Statx(fd, "", unix.AT_EMPTY_PATH, 0, &x)); err != nil {
			return err
		}
		if fs.Flags&flagBits[flag] != 0 {
			return nil
		}
		if x.Attributes&unix.STATX_ATTR_MOUNT_ROOT == 0 {
			path += " (not mounted)"
		}
		all = append(all, path)
		return nil
	})
}

// insideRoot opens paths in a process's root directory, out of which no link leads. What is not there
// is passed over.
func insideRoot(pid int, paths []string, look func(path string, fd int) error) error {
	root, err := unix.Open(fmt.Sprintf("/proc/%d/root", pid), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open the attacker's root: %w", err)
	}
	defer unix.Close(root) //nolint:errcheck // nothing was written
	for _, path := range paths {
		fd, err := unix.Openat2(root, path, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT})
		if errors.Is(err, unix.ENOENT) {
			continue
		}
		if err == nil {
			err = errors.Join(look(path, fd), unix.Close(fd))
		}
		if err != nil {
			return fmt.Errorf("look at %s in the attacker's root: %w", path, err)
		}
	}
	return nil
}

// unmasked returns those of the paths in a process's root directory that no mask is on: neither
// the device null nor an empty directory that is read-only. What is not there needs no mask.
func unmasked(pid int, paths []string) (open []string, err error) {
	return open, insideRoot(pid, paths, func(path string, fd int) error {
		masked, err := isMask(fd)
		if err == nil && !masked {
			open = append(open, path)
		}
		return err
	})
}

// isMask reports whether an opened path is a mask.
func isMask(fd int) (bool, error) {
	var st unix.Stat_t
	var fs unix.Statfs_t
	if err := errors.Join(unix.Fstat(fd, &st), unix.Fstatfs(fd, &fs)); err != nil {
		return false, err
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFCHR:
		return st.Rdev == unix.Mkdev(1, 3), nil
	case unix.S_IFDIR:
		entries, err := os.ReadDir(fmt.Sprintf("/proc/self/fd/%d", fd))
		return len(entries) == 0 && fs.Flags&unix.ST_RDONLY != 0, err
	}
	return false, nil
}
