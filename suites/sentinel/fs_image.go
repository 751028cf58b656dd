package sentinel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
	"cellwall/suites/attack"
)

// oldRoot is where a runtime has the host's root directory while it makes the container's: bwrap, and
// whoever follows pivot_root(2). An image may count on the name.
const oldRoot = "/oldroot"

// OutsideUntouched is an image in which the target of a bind mount lies behind a symbolic link to
// a directory of the host: by its path, and in a second container by that which it has while the
// container is made. It looks at that directory before and after.
func OutsideUntouched(s *Stage) (*Watch, error) {
	dir, err := s.outsideDir()
	if err != nil {
		return nil, err
	}
	before, err := treeOf(dir)
	if err != nil {
		return nil, err
	}
	source := filepath.Join(s.Dir, "source")
	if err := publicDir(source); err != nil {
		return nil, err
	}
	link := volumePrefix + s.Name
	old := link + "-old"
	if err := errors.Join(os.Symlink(dir, s.Rootfs+link), os.Symlink(oldRoot+dir, s.Rootfs+old)); err != nil {
		return nil, fmt.Errorf("make bait: %w", err)
	}
	look := func() (Finding, error) { return before.unchanged(dir) }
	refused := func(err error) (Finding, error) {
		f, lookErr := look()
		if f.Breached || lookErr != nil {
			return f, lookErr
		}
		if !strings.Contains(err.Error(), strings.TrimPrefix(link, "/")) {
			return f, err // about something else
		}
		f.Evidence = "refused: " + err.Error() + "; " + f.Evidence
		return f, nil
	}
	again := func(ctx context.Context) (Finding, error) {
		w := &Watch{
			Edits: spec.Edits{spec.WithMount(spec.Bind(source, old+"/inner"))}, Refused: refused,
			Look: func(context.Context, *Subject, attack.Record) (Finding, error) { return look() },
		}
		f, err := s.Launch(ctx, s.Name+"-old", w)
		if err != nil {
			return f, fmt.Errorf("with a link to %s: %w", oldRoot+dir, err)
		}
		return f, nil
	}
	return &Watch{
		Edits: spec.Edits{spec.WithMount(spec.Bind(source, link+"/inner"))},
		Look:  func(context.Context, *Subject, attack.Record) (Finding, error) { return look() },
		Gone:  again,
		Refused: func(err error) (Finding, error) {
			f, err := refused(err)
			if f.Breached || err != nil {
				return f, err
			}
			return again(context.Background())
		},
	}, nil
}

// MaskIsNull is an image whose /dev/null is a symbolic link to a file, for a container without a
// /dev of its own. The target's Path is a masked file and Name the link's target. It looks at
// what masks the file.
func MaskIsNull(s *Stage) (*Watch, error) {
	if s.Rung == spec.Bare || s.Rung == spec.Chroot {
		return nil, kernel.Unsupported("masks without a mount namespace (rung %s)", s.Rung)
	}
	masked, source := "/masked-"+s.Name, "/source-"+s.Name
	err := errors.Join(
		publicFile(s.Rootfs+masked, s.Nonce), publicFile(s.Rootfs+source, s.Nonce),
		os.Symlink(source, s.Rootfs+"/dev/null"),
	)
	if err != nil {
		return nil, fmt.Errorf("make bait: %w", err)
	}
	look := func(pid int) (Finding, error) {
		found, err := statInside(pid, masked)
		return Finding{
			Breached: found.Mode&unix.S_IFMT != unix.S_IFCHR || found.Rdev != unix.Mkdev(1, 3),
			Evidence: fmt.Sprintf("the masked file is of mode %o and device %d:%d", found.Mode, unix.Major(found.Rdev), unix.Minor(found.Rdev)),
		}, err
	}
	var finding Finding
	return &Watch{
		Edits:  spec.Edits{spec.WithoutMount("/dev"), spec.WithoutMount("/dev/pts"), mask(masked)},
		Target: attack.Target{Path: masked, Name: source},
		// A runtime that takes the image's /dev/null for its own may also take the pipes to the
		// attacker for it, who then never speaks: CVE-2026-88265.
		Created: func(_ context.Context, init int) (err error) {
			finding, err = look(init)
			if finding.Breached && err == nil {
				return &Seen{finding}
			}
			return err
		},
		Silent: func() (Finding, error) { return finding, finding.orUnseen() },
		Ready: func(_ context.Context, a *Subject) (err error) {
			finding, err = look(a.PID)
			return err
		},
		Look: after(func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
			b, err := os.ReadFile(s.Rootfs + source)
			if err != nil {
				return Finding{}, fmt.Errorf("look at the bait: %w", err)
			}
			finding.Breached = finding.Breached || string(b) != s.Nonce || s.Returned(r).Breached
			return finding, nil
		}, "open "),
	}, nil
}

// orUnseen is an error unless something was seen.
func (f Finding) orUnseen() error {
	if f.Evidence == "" {
		return errors.New("the witness has seen nothing")
	}
	return nil
}

// statInside looks at a path of a process's root directory, and follows no link out of it.
func statInside(pid int, path string) (st unix.Stat_t, err error) {
	root, err := unix.Open(fmt.Sprintf("/proc/%d/root", pid), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return st, fmt.Errorf("open the attacker's root: %w", err)
	}
	defer unix.Close(root) //nolint:errcheck // nothing was written
	fd, err := unix.Openat2(root, path, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT})
	if err != nil {
		return st, fmt.Errorf("open %s in the attacker's root: %w", path, err)
	}
	defer unix.Close(fd) //nolint:errcheck // nothing was written
	if err := unix.Fstat(fd, &st); err != nil {
		return st, fmt.Errorf("look at %s in the attacker's root: %w", path, err)
	}
	return st, nil
}

// FixtureMasked masks, at a rung that masks anything, a file and a directory of the root
// directory, in the target's Path. It looks at them before and after, and for their content.
func FixtureMasked(s *Stage) (*Watch, error) {
	path := "/" + s.Name
	host := filepath.Join(s.Rootfs, path)
	for _, dir := range []string{host, host + "/dir"} {
		if err := publicDir(dir); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(publicFile(host+"/file", s.Nonce), publicFile(host+"/dir/inside", s.Nonce)); err != nil {
		return nil, err
	}
	before, err := treeOf(host)
	if err != nil {
		return nil, err
	}
	return &Watch{
		Edits: spec.Edits{spec.Change("masks where there are any", func(sp *specs.Spec) {
			if len(sp.Linux.MaskedPaths) > 0 {
				mask(path+"/file", path+"/dir").Apply(sp)
			}
		})},
		Target: attack.Target{Path: path},
		Look: after(func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
			if f := s.Returned(r); f.Breached {
				return f, nil
			}
			return before.unchanged(host)
		}, "open ", "unlink ", "rename "),
	}, nil
}
