package sentinel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/spec"
	"cellwall/suites/attack"
)

// RootUnchanged asks for a read-only root directory with directories to change in it: the
// target's Paths. It looks at them before and after.
func RootUnchanged(s *Stage) (*Watch, error) {
	if err := s.original(); err != nil {
		return nil, err
	}
	w := &Watch{Edits: spec.Edits{spec.Change("a read-only root directory", func(sp *specs.Spec) {
		sp.Root.Readonly = spec.HasNamespace(sp, specs.MountNamespace)
	})}}
	before := map[string]tree{}
	for _, parent := range []string{"/", "/usr", "/etc"} {
		dir := filepath.Join(parent, s.Name)
		host := filepath.Join(s.Rootfs, dir)
		if err := publicDir(host); err != nil {
			return nil, err
		}
		if err := changeable(host, s.Nonce); err != nil {
			return nil, err
		}
		t, err := treeOf(host)
		if err != nil {
			return nil, err
		}
		before[host] = t
		w.Target.Paths = append(w.Target.Paths, dir)
	}
	w.Look = after(func(context.Context, *Subject, attack.Record) (f Finding, err error) {
		for host, t := range before {
			if f, err = t.unchanged(host); err != nil || f.Breached {
				return f, err
			}
		}
		f.Evidence = fmt.Sprintf("in each of %d directories: %s", len(before), f.Evidence)
		return f, nil
	}, "create ", "mkdir ", "unlink ", "chmod ")
	return w, nil
}

// FixtureReadonly makes read-only, at a rung that makes anything so, a file and a directory of the root
// directory, in the target's Path. It looks at them before and after, and at all other paths and mounts
// that are to be read-only.
func FixtureReadonly(s *Stage) (*Watch, error) {
	path := "/" + s.Name
	host := filepath.Join(s.Rootfs, path)
	for _, dir := range []string{host, host + "/dir"} {
		if err := publicDir(dir); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(publicFile(host+"/file", s.Nonce), changeable(host+"/dir", s.Nonce)); err != nil {
		return nil, err
	}
	before, err := treeOf(host)
	if err != nil {
		return nil, err
	}
	w := &Watch{
		Edits: spec.Edits{spec.Change("read-only paths where there are any", func(sp *specs.Spec) {
			if len(sp.Linux.ReadonlyPaths) > 0 {
				sp.Linux.ReadonlyPaths = append(sp.Linux.ReadonlyPaths, path+"/file", path+"/dir")
			}
		})},
		Target: attack.Target{Path: path},
		Look: after(func(context.Context, *Subject, attack.Record) (Finding, error) {
			return before.unchanged(host)
		}, "open ", "create ", "unlink "),
	}
	return w.census(s, "paths or mounts that are not read-only", func(pid int, asked *specs.Spec) ([]string, error) {
		return unflagged(pid, "ro", slices.Concat(destinations(asked, "ro"), asked.Linux.ReadonlyPaths))
	}), nil
}

// SubmountUnchanged is a volume, recursively read-only, in which something else is mounted: the
// target's Path. It looks at that before and after.
func SubmountUnchanged(s *Stage) (*Watch, error) {
	h, err := s.hostMounts()
	if err != nil {
		return nil, err
	}
	v, err := s.sharedDirectory()
	if err != nil {
		return nil, err
	}
	nested := filepath.Join(v.host, "nested")
	if err := publicDir(nested); err != nil {
		return nil, err
	}
	var before tree
	err = h.do(func() error {
		if err := tmpfs(nested); err != nil {
			return err
		}
		if err := changeable(nested, s.Nonce); err != nil {
			return err
		}
		before, err = treeOf(nested)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &Watch{
		From:   h.path(),
		Edits:  spec.Edits{v.bind("rro")},
		Target: attack.Target{Path: v.path + "/nested"},
		Look: after(func(context.Context, *Subject, attack.Record) (f Finding, err error) {
			err = h.do(func() error { f, err = before.unchanged(nested); return err })
			return f, err
		}, "create ", "open "),
	}, nil
}

// MappedFileUnchanged is a file in a read-only volume: the target's Path. It looks at it before
// and after.
func MappedFileUnchanged(s *Stage) (*Watch, error) {
	if err := s.needsProcfs(); err != nil {
		return nil, err
	}
	v, err := s.sharedDirectory()
	if err != nil {
		return nil, err
	}
	if err := changeable(v.host, s.Nonce); err != nil {
		return nil, err
	}
	before, err := treeOf(v.host)
	if err != nil {
		return nil, err
	}
	return &Watch{
		Edits:  spec.Edits{v.bind("ro")},
		Target: attack.Target{Path: v.path + "/file"},
		Look: after(func(context.Context, *Subject, attack.Record) (Finding, error) {
			return before.unchanged(v.host)
		}, "open /proc/self/mem", "pwrite /proc/self/mem over a shared", "pwrite /proc/self/mem over a private"),
	}, nil
}

// LinksUnchanged shows two directories of one file system of the host as two volumes, "a" and
// "b" below the target's Path. It looks at names and link counts before and after.
func LinksUnchanged(s *Stage) (*Watch, error) {
	v, err := s.sharedDirectory()
	if err != nil {
		return nil, err
	}
	w := &Watch{Target: attack.Target{Path: v.path}}
	for _, name := range []string{"/a", "/b"} {
		if err := publicDir(v.host + name); err != nil {
			return nil, err
		}
		w.Edits = append(w.Edits, spec.WithMount(spec.Bind(v.host+name, v.path+name)))
	}
	if err := changeable(v.host+"/a", s.Nonce); err != nil {
		return nil, err
	}
	before, err := treeOf(v.host)
	if err != nil {
		return nil, err
	}
	w.Look = after(func(context.Context, *Subject, attack.Record) (Finding, error) {
		f, err := before.unchanged(v.host)
		return f.of(part{"a link", exists(v.host + "/b/file")}, part{"a rename", exists(v.host + "/b/moved")}), err
	}, "link ", "renameat2 ")
	return w, nil
}

// LowerAsRoot names the edit of a container whose root directory is an image layer itself.
const LowerAsRoot = "the image's layer as root directory"

// LayerUnchanged makes the root directory an overlay over the image's layer, in which the
// target's Path is a directory to change. It looks at the layer before and after.
func LayerUnchanged(s *Stage) (*Watch, error) {
	h, err := s.hostMounts()
	if err != nil {
		return nil, err
	}
	path := "/" + s.Name
	layer := s.Rootfs + path
	if err := publicDir(layer); err != nil {
		return nil, err
	}
	if err := changeable(layer, s.Nonce); err != nil {
		return nil, err
	}
	before, err := treeOf(layer)
	if err != nil {
		return nil, err
	}
	merged, err := s.overlay(h)
	if err != nil {
		return nil, err
	}
	w := &Watch{
		From:   h.path(),
		Target: attack.Target{Path: path},
		Look: after(func(context.Context, *Subject, attack.Record) (Finding, error) {
			return before.unchanged(layer)
		}, "mknod ", "create ", "unlink "),
	}
	if !s.Has(LowerAsRoot) {
		w.Edits = spec.Edits{spec.Change("an overlay as root directory", func(sp *specs.Spec) {
			if sp.Root.Path == s.Rootfs {
				sp.Root.Path = merged
			}
		})}
	}
	return w, nil
}

// overlay mounts an overlay over the stage's root directory in the stand-in for the host's
// mounts, and returns where.
func (s *Stage) overlay(h *hostMounts) (merged string, err error) {
	merged, top := filepath.Join(s.Dir, "merged"), filepath.Join(s.Dir, "top")
	for _, dir := range []string{merged, top} {
		if err := publicDir(dir); err != nil {
			return "", err
		}
	}
	return merged, h.do(func() error {
		// A tmpfs, since no overlay can be the upper layer of another one.
		if err := tmpfs(top); err != nil {
			return err
		}
		upper, work := filepath.Join(top, "upper"), filepath.Join(top, "work")
		for _, dir := range []string{upper, work} {
			if err := os.Mkdir(dir, 0o755); err != nil { // a mapped root must pass
				return fmt.Errorf("make bait: %w", err)
			}
		}
		data := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", s.Rootfs, upper, work)
		if err := unix.Mount("overlay", merged, "overlay", 0, data); err != nil {
			return fmt.Errorf("mount overlay: %w", err)
		}
		return nil
	})
}
