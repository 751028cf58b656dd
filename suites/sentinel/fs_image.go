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
	"cellwall/runtime/rootfs"
	"cellwall/runtime/spec"
	"cellwall/suites/attack"
)

// oldRoot is where a runtime has the host's root directory while it makes the container's: bwrap, and
// whoever follows pivot_root(2). An image may count on the name.
const oldRoot = "/oldroot"

// hostileImage is one way in which an image leads a runtime out of itself, by a symbolic link.
type hostileImage struct {
	name    string // of its container, behind the trial's
	outside string // the directory of the host that it leads to
	before  tree   // of that directory
	prepare func() error
	edits   spec.Edits
	about   string // a refusal names it
}

func (s *Stage) hostileImages() ([]hostileImage, error) {
	source, link := filepath.Join(s.Dir, "source"), volumePrefix+s.Name
	dir, err := s.outsideDir()
	if err != nil {
		return nil, err
	}
	// Not below /dev, where the trial may lie: there the last of them would lead to itself.
	far := filepath.Join(s.Lease, s.Name+"-outside")
	s.Undo.Push("remove the directory outside", func() error { return rootfs.Remove(far) })
	bind := func(at string) spec.Edits { return spec.Edits{spec.WithMount(spec.Bind(source, at+"/inner"))} }
	var noDev spec.Edits
	for _, m := range []string{"/dev", "/dev/pts", "/dev/shm", "/dev/mqueue"} {
		noDev = append(noDev, spec.WithoutMount(m))
	}
	images := []hostileImage{
		{outside: dir, edits: bind(link), about: volumePrefix[1:] + s.Name},
		{outside: dir, edits: bind(link + "-old"), about: volumePrefix[1:] + s.Name, name: "-old"},
		// With the usual tmpfs, which a runtime may mount elsewhere than it makes the devices.
		{outside: far, about: "/dev", name: "-dev-tmpfs", prepare: func() error {
			return errors.Join(os.Rename(s.Rootfs+"/dev", s.Rootfs+"/kept"), os.Symlink(far, s.Rootfs+"/dev"))
		}},
		{outside: far, edits: noDev, about: "/dev", name: "-dev"},
	}
	err = errors.Join(publicDir(source), publicDir(far), os.Symlink(dir, s.Rootfs+link), os.Symlink(oldRoot+dir, s.Rootfs+link+"-old"))
	if err != nil {
		return nil, fmt.Errorf("make bait: %w", err)
	}
	// The image has it too, so that whoever resolves the link in it finds a directory, and goes on.
	if err := os.MkdirAll(s.Rootfs+far, 0o755); err != nil {
		return nil, fmt.Errorf("make bait: %w", err)
	}
	for i := range images {
		if images[i].before, err = treeOf(images[i].outside); err != nil {
			return nil, err
		}
	}
	return images, nil
}

// hostileWatch looks at the directory outside, whether the runtime refuses the image or not.
func (s *Stage) hostileWatch(i hostileImage) *Watch {
	return &Watch{
		Edits: i.edits,
		Look:  func(context.Context, *Subject, attack.Record) (Finding, error) { return i.before.unchanged(i.outside) },
		Refused: func(_ context.Context, err error) (Finding, error) {
			f, lookErr := i.before.unchanged(i.outside)
			if f.Breached || lookErr != nil {
				return f, lookErr
			}
			// In what the runtime says of the image: the place of the trial may hold the word too.
			if said := strings.NewReplacer(s.Rootfs, "", s.Dir, "").Replace(err.Error()); !strings.Contains(said, i.about) {
				return f, err // about something else
			}
			f.Evidence = "refused: " + err.Error() + "; " + f.Evidence
			return f, nil
		},
	}
}

// MakesDevicesBehindLinks is the edit of a runtime that makes devices in an image's /dev wherever that
// leads. The core makes none where nothing is mounted on /dev, so the witness stands in for one.
const MakesDevicesBehindLinks = "a runtime that makes devices behind the image's /dev"

// OutsideUntouched is an image in which the target of a bind mount lies behind a symbolic link to
// a directory of the host: by its path, and in a second container by that which it has while the
// container is made. In a third and a fourth the image's /dev is such a link, with the usual tmpfs there
// and with nothing (CVE-2026-41579).
func OutsideUntouched(s *Stage) (*Watch, error) {
	images, err := s.hostileImages()
	if err != nil {
		return nil, err
	}
	rest := func(ctx context.Context) (f Finding, err error) {
		for _, image := range images[1:] {
			if image.prepare != nil {
				if err := image.prepare(); err != nil {
					return f, fmt.Errorf("make bait: %w", err)
				}
			}
			if f, err = s.Launch(ctx, s.Name+image.name, s.hostileWatch(image)); err != nil {
				return f, fmt.Errorf("container %s: %w", image.name, err)
			}
			if image.about == "/dev" && s.Has(MakesDevicesBehindLinks) {
				if err := unix.Mknod(s.Rootfs+"/dev/null", unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))); err != nil && !errors.Is(err, unix.EEXIST) { // a device number
					return f, fmt.Errorf("stand in for a careless runtime: %w", err)
				}
				return image.before.unchanged(image.outside)
			}
			if f.Breached {
				return f, nil
			}
		}
		return f, nil
	}
	w := s.hostileWatch(images[0])
	w.Gone = rest
	refused := w.Refused
	w.Refused = func(ctx context.Context, err error) (Finding, error) {
		f, err := refused(ctx, err)
		if f.Breached || err != nil {
			return f, err
		}
		return rest(ctx)
	}
	return w, nil
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
	// written completes the finding by what became of the bait.
	written := func() error {
		b, err := os.ReadFile(s.Rootfs + source)
		if err != nil {
			return fmt.Errorf("look at the bait: %w", err)
		}
		if string(b) != s.Nonce {
			finding.Breached = true
			finding.Evidence += "; what the image's /dev/null leads to was written"
		}
		return nil
	}
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
		Silent: func() (Finding, error) {
			if finding.Evidence == "" {
				return finding, errors.New("the attacker did not speak, and nothing was seen before")
			}
			return finding, written()
		},
		Ready: func(_ context.Context, a *Subject) (err error) {
			finding, err = look(a.PID)
			return err
		},
		Look: after(func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
			finding.Breached = finding.Breached || s.Returned(r).Breached
			return finding, written()
		}, "open "),
		Refused: func(_ context.Context, err error) (Finding, error) {
			if !strings.Contains(err.Error(), "/dev/null") {
				return Finding{}, err // about something else
			}
			finding.Evidence = "refused: " + err.Error()
			return finding, written()
		},
	}, nil
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
// directory, in the target's Path. It looks at them before and after, and for their content, and
// at all paths that the spec masks.
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
	w := &Watch{
		Edits: spec.Edits{spec.Change("masks where there are any", func(sp *specs.Spec) {
			if len(sp.Linux.MaskedPaths) > 0 {
				mask(path+"/file", path+"/dir").Apply(sp)
			}
		})},
		Target: attack.Target{Path: path},
		Look: after(func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
			read := s.Returned(r)
			f, err := before.unchanged(host)
			f.Evidence += "; " + read.Evidence
			return f.of(part{"reading", read.Breached}, part{"changing", f.Breached}), err
		}, "open ", "unlink ", "rename "),
	}
	return w.census(s, "paths that are not masked", func(pid int, asked *specs.Spec) ([]string, error) {
		return unmasked(pid, asked.Linux.MaskedPaths)
	}), nil
}
