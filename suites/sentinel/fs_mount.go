package sentinel

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
	"cellwall/suites/attack"
)

// mountsUnchanged compares two lists of mounts.
func mountsUnchanged(whose string, before, now []string) (Finding, error) {
	if len(before) == 0 || len(now) == 0 {
		return Finding{}, errors.New("the attacker did not get to be looked at while it held")
	}
	gone := slices.DeleteFunc(slices.Clone(before), func(m string) bool { return slices.Contains(now, m) })
	made := slices.DeleteFunc(slices.Clone(now), func(m string) bool { return slices.Contains(before, m) })
	f := Finding{Evidence: fmt.Sprintf("of %s, which were %d, %d are gone, and %d are new", whose, len(before), len(gone), len(made))}
	return f.of(part{"unmounting", len(gone) > 0}, part{"mounting", len(made) > 0}), nil
}

// HostMountsUnchanged is a volume on a shared mount of a stand-in for the host's mounts, with a
// directory "a" and something mounted on "b": the target's Path. It looks at the host's mounts
// before and after, and at all mounts of the attacker for peers of them.
func HostMountsUnchanged(s *Stage) (*Watch, error) {
	h, err := s.hostMounts()
	if err != nil {
		return nil, err
	}
	v, err := s.sharedDirectory()
	if err != nil {
		return nil, err
	}
	err = h.do(func() error {
		if err := tmpfs(v.host); err != nil {
			return err
		}
		return errors.Join(publicDir(v.host+"/a"), publicDir(v.host+"/b"), tmpfs(v.host+"/b"))
	})
	if err == nil {
		err = h.share()
	}
	if err != nil {
		return nil, err
	}
	var before, now []string
	w := h.guard(&Watch{
		Edits:  spec.Edits{v.bind()},
		Target: attack.Target{Path: v.path},
		Ready:  func(context.Context, *Subject) (err error) { before, err = h.list(); return err },
		Hold:   func(context.Context, string, *Subject) (err error) { now, err = h.list(); return err },
		Look: after(func(context.Context, *Subject, attack.Record) (Finding, error) {
			return mountsUnchanged("the host's mounts", before, now)
		}, "mount ", "umount "),
	})
	return w.census(s, "mounts that have a peer on the host", func(pid int, _ *specs.Spec) ([]string, error) {
		own, err := mountList(fmt.Sprintf("/proc/%d", pid))
		if err != nil {
			return nil, err
		}
		standIn, err := h.list()
		if err != nil {
			return nil, err
		}
		host, err := mountList("/proc/self")
		return peered(own, slices.Concat(standIn, host)), err
	}), nil
}

// coveredVolume is a read-only volume with the files "file" and, masked, "masked". Both hold the
// nonce.
func (s *Stage) coveredVolume() (*hostMounts, *volume, spec.Edits, error) {
	h, err := s.hostMounts()
	if err != nil {
		return nil, nil, nil, err
	}
	v, err := s.sharedDirectory()
	if err != nil {
		return nil, nil, nil, err
	}
	err = errors.Join(
		publicFile(v.host+"/file", "covered"), publicFile(v.host+"/masked", s.Nonce),
		publicDir(v.host+"/a"), publicDir(v.host+"/b"), publicDir(v.host+"/c"),
	)
	return h, v, spec.Edits{v.bind("ro"), mask(v.path + "/masked")}, err
}

// OwnMountsUnchanged is a read-only volume with directories and a masked file: the target's Path.
// It looks at the attacker's own mounts before and after.
func OwnMountsUnchanged(s *Stage) (*Watch, error) {
	h, v, edits, err := s.coveredVolume()
	if err != nil {
		return nil, err
	}
	var before, now []string
	list := func(a *Subject) ([]string, error) { return mountList(fmt.Sprintf("/proc/%d", a.PID)) }
	return h.guard(&Watch{
		Edits:  edits,
		Target: attack.Target{Path: v.path},
		Ready:  func(_ context.Context, a *Subject) (err error) { before, err = list(a); return err },
		Hold:   func(_ context.Context, _ string, a *Subject) (err error) { now, err = list(a); return err },
		Look: after(func(context.Context, *Subject, attack.Record) (Finding, error) {
			return mountsUnchanged("the attacker's mounts", before, now)
		}, "mount ", "remount ", "umount ", "fsopen ", "open_tree "),
	}), nil
}

// nestedTried returns an error where an attack that goes on in a user namespace of its own did
// not come to a call there, unless a filter kept it from making one: the filter then is a wall
// before the one that is meant. Without a filter the attack cannot be made there at all, as in a
// chroot (user_namespaces(7)).
func nestedTried(r attack.Record, call string) error {
	const clone = "clone into a new user namespace"
	if err := MustTry(r, clone); err != nil {
		return err
	}
	i := slices.IndexFunc(r.Tries, func(t attack.Try) bool { return t.Call == clone })
	switch errno := unix.Errno(r.Tries[i].Errno); {
	case errno != 0 && r.Filtered:
		return nil
	case errno != 0:
		return kernel.Unsupported("the attacker can make no user namespace: %v", errno)
	}
	return MustTry(r, "nested: "+call)
}

// CoverKept is a read-only volume with a masked file: the target's Path. It looks at the volume
// before and after, and for the masked file's content.
func CoverKept(s *Stage) (*Watch, error) {
	h, v, edits, err := s.coveredVolume()
	if err != nil {
		return nil, err
	}
	before, err := treeOf(v.host)
	if err != nil {
		return nil, err
	}
	return h.guard(&Watch{
		Edits:  edits,
		Target: attack.Target{Path: v.path},
		Look: func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
			read := s.Returned(r)
			if err := errors.Join(MustTry(r, "umount "), nestedTried(r, "umount ")); err != nil && !read.Breached {
				return Finding{}, err
			}
			f, err := before.unchanged(v.host)
			f.Evidence += "; " + read.Evidence
			return f.of(part{"the mask", read.Breached}, part{"the read-only volume", f.Breached}), err
		},
	}), nil
}

// NoFreshProcfs gives the attacker an empty directory, the target's Path, and looks for a procfs
// on it in the mount namespaces of its processes.
func NoFreshProcfs(s *Stage) (*Watch, error) {
	h, err := s.hostMounts()
	if err != nil {
		return nil, err
	}
	path := "/" + s.Name
	if err := publicDir(filepath.Join(s.Rootfs, path)); err != nil {
		return nil, err
	}
	fresh, looked := 0, 0
	return h.guard(&Watch{
		Target: attack.Target{Path: path},
		Hold: func(_ context.Context, _ string, a *Subject) error {
			pids, err := startedBy(a.PID)
			if err != nil {
				return err
			}
			for _, pid := range append(pids, a.PID) {
				mounts, err := mountList(fmt.Sprintf("/proc/%d", pid))
				if err != nil {
					return err
				}
				looked++
				for _, m := range mounts {
					if strings.Contains(m, " - proc ") && strings.HasSuffix(parseMount(m).point, path) {
						fresh++
					}
				}
			}
			return nil
		},
		Look: func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
			if err := nestedTried(r, "mount proc"); err != nil && fresh == 0 {
				return Finding{}, err
			}
			return Finding{Breached: fresh > 0, Evidence: fmt.Sprintf("%d fresh procfs in the mounts of %d processes", fresh, looked)}, nil
		},
	}), nil
}
