package sentinel

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
	"cellwall/suites/attack"
)

// memoryVolume is a volume on a tmpfs: what is put into it never lies on the host's disk, only in
// the stand-in for its mounts.
func (s *Stage) memoryVolume() (*hostMounts, *volume, error) {
	h, err := s.hostMounts()
	if err != nil {
		return nil, nil, err
	}
	v, err := s.sharedDirectory()
	if err != nil {
		return nil, nil, err
	}
	return h, v, v.tmpfs(h)
}

// programVolume is one with the attacker's own program in it.
func (s *Stage) programVolume() (*hostMounts, *volume, error) {
	h, v, err := s.memoryVolume()
	if err != nil {
		return nil, nil, err
	}
	return h, v, h.do(func() error { return copyProgram(s.Binary, v.program()) })
}

func (v *volume) program() string { return filepath.Join(v.host, attack.Program) }

func copyProgram(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("make bait: %w", err)
	}
	defer in.Close() //nolint:errcheck // read-only
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return fmt.Errorf("make bait: %w", err)
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if _, err := io.Copy(out, in); err != nil {
		return fmt.Errorf("make bait: %w", err)
	}
	return nil
}

// unprivilegedUser is the container's user where an attack wants to become root.
const unprivilegedUser = 1000

// HelperGainsNothing is a set-user-ID program of the container's root in a nosuid volume, for an
// attacker that is another user: the target's Path. While it runs the kernel says who it is. All mounts
// that are to be nosuid are looked at as well.
func HelperGainsNothing(s *Stage) (*Watch, error) {
	if err := gainable(); err != nil {
		return nil, err
	}
	h, v, err := s.programVolume()
	if err != nil {
		return nil, err
	}
	var root int
	gained, looked := "", 0
	w := &Watch{
		From: h.path(),
		Edits: spec.Edits{v.bind("nosuid"), spec.Change("an unprivileged user", func(sp *specs.Spec) {
			sp.Process.User.UID, sp.Process.User.GID = unprivilegedUser, unprivilegedUser
		})},
		Target: attack.Target{Path: v.path + "/" + attack.Program},
		Ready: func(_ context.Context, a *Subject) error {
			if root, err = hostUIDOfRoot(a.PID); err != nil {
				return err
			}
			return h.do(func() error {
				if err := os.Chown(v.program(), root, root); err != nil {
					return fmt.Errorf("make bait: %w", err)
				}
				return chmod(v.program(), 0o755|os.ModeSetuid)
			})
		},
		Hold: func(_ context.Context, _ string, a *Subject) error {
			pids, err := startedBy(a.PID)
			if err != nil {
				return err
			}
			for _, pid := range pids {
				status, err := statusOf(pid)
				if err != nil {
					return err
				}
				looked++
				uids := strings.Fields(StatusField(status, "Uid:"))
				if len(uids) > 1 && uids[1] == fmt.Sprint(root) {
					gained = fmt.Sprintf("the helper runs with uids %s and capabilities %s",
						strings.Join(uids, " "), StatusField(status, "CapEff:"))
				}
			}
			return nil
		},
		Look: after(func(context.Context, *Subject, attack.Record) (Finding, error) {
			if gained != "" {
				return Finding{Breached: true, Evidence: gained}, nil
			}
			if looked == 0 {
				return Finding{}, errors.New("the helper was not seen to run")
			}
			return Finding{Evidence: fmt.Sprintf("none of %d helpers has the effective uid %d", looked, root)}, nil
		}, "execve "),
	}
	return w.flagged(s, "nosuid"), nil
}

// hostUIDOfRoot is the host uid of root in the user namespace of a process.
func hostUIDOfRoot(pid int) (int, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/uid_map", pid))
	if err != nil {
		return 0, fmt.Errorf("read the attacker's uid map: %w", err)
	}
	defer f.Close() //nolint:errcheck // read-only
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var inside, outside, count int
		if _, err := fmt.Sscan(lines.Text(), &inside, &outside, &count); err == nil && inside == 0 {
			return outside, nil
		}
	}
	return 0, kernel.Unsupported("the attacker's user namespace has no root")
}

// ProgramNotRun is a program in a noexec volume: the target's Path. When the attacker has run it
// or mapped it executable, the kernel says whether that is so. All mounts that are to be noexec are
// looked at as well.
func ProgramNotRun(s *Stage) (*Watch, error) {
	h, v, err := s.programVolume()
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if err := h.do(func() error { return unix.Stat(v.program(), &st) }); err != nil {
		return nil, fmt.Errorf("look at bait: %w", err)
	}
	seen := map[string]string{} // a process, by the way in which the file came to run
	w := &Watch{
		From:      h.path(),
		Edits:     spec.Edits{v.bind("noexec")},
		Target:    attack.Target{Path: v.path + "/" + attack.Program},
		Refusable: true,
		Hold: func(_ context.Context, point string, a *Subject) error {
			pids, err := startedBy(a.PID)
			if err != nil {
				return err
			}
			for _, pid := range append(pids, a.PID) {
				maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
				if err != nil {
					return fmt.Errorf("look at the attacker's memory: %w", err)
				}
				if mappedExecutable(string(maps), &st) {
					seen[point] = fmt.Sprintf("process %d (%s)", pid, point)
				}
			}
			return nil
		},
		Look: after(func(context.Context, *Subject, attack.Record) (Finding, error) {
			f := Finding{Evidence: "no process was seen with the file mapped executable"}
			if len(seen) > 0 {
				f.Evidence = "the file is mapped executable by " + strings.Join(slices.Sorted(maps.Values(seen)), ", ")
			}
			return f.of(part{"execve", seen["execve"] != ""}, part{"execveat", seen["execveat"] != ""}, part{"mmap", seen["mmap"] != ""}), nil
		}, "execve ", "execveat ", "mmap "),
	}
	return w.flagged(s, "noexec"), nil
}

// mappedExecutable reports whether a file is mapped executable: lines of proc_pid_maps(5).
func mappedExecutable(maps string, st *unix.Stat_t) bool {
	for line := range strings.Lines(maps) {
		f := strings.Fields(line)
		if len(f) < 5 || !strings.Contains(f[1], "x") {
			continue
		}
		if f[3] == fmt.Sprintf("%02x:%02x", unix.Major(st.Dev), unix.Minor(st.Dev)) && f[4] == fmt.Sprint(st.Ino) {
			return true
		}
	}
	return false
}
