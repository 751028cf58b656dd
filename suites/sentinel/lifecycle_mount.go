package sentinel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/spec"
)

// directoryOnFile is a mount that every runtime can be asked for and none can make: of a directory on
// a file of the root directory.
func directoryOnFile(dir string) spec.Edit { return spec.WithMount(spec.Bind(dir, "/etc/passwd")) }

// NoMountLeft compares the mounts of a stand-in for the host before and after containers with
// volumes and masks, and one whose creation fails at a mount.
func NoMountLeft(s *Stage) (*Watch, error) {
	host, err := s.hostMounts()
	if err != nil {
		return nil, err
	}
	if err := host.share(); err != nil {
		return nil, err
	}
	before, err := host.list()
	if err != nil {
		return nil, err
	}
	volume := filepath.Join(s.Dir, "volume")
	if err := os.Mkdir(volume, 0o755); err != nil { // every uid may see it
		return nil, fmt.Errorf("make a volume: %w", err)
	}
	edits := spec.Edits{
		spec.WithMount(spec.Bind(volume, "/volume", "ro")),
		spec.Change("masked paths", func(sp *specs.Spec) {
			sp.Linux.MaskedPaths = append(sp.Linux.MaskedPaths, "/proc/kcore", "/sys/firmware")
		}),
	}
	switch {
	case s.Rung == spec.Bare || s.Rung == spec.Chroot:
		edits = nil // they have no mounts of their own
	case s.Sandboxed:
		edits = edits[:1] // its masks, if it has any, are none of the host's mounts
	}
	look := func(lives int) (Finding, error) {
		after, err := host.list()
		if err != nil {
			return Finding{}, err
		}
		left := slices.DeleteFunc(after, func(line string) bool { return slices.Contains(before, line) })
		if len(left) > 0 {
			return Finding{Breached: true, Evidence: fmt.Sprintf("%d mounts are left on the host: %.200q", len(left), left)}, nil
		}
		return Finding{Evidence: fmt.Sprintf("the host's %d mounts are the same after %d containers", len(before), lives)}, nil
	}
	return &Watch{
		Edits: edits,
		From:  host.path(),
		Gone: func(ctx context.Context) (Finding, error) {
			for i := range moreLives {
				w := &Watch{Edits: edits, From: host.path()}
				failing := i == 0 && edits != nil
				refused := false
				if failing {
					w.Edits = append(slices.Clone(edits), directoryOnFile(volume))
					w.Refused = func(context.Context, error) (Finding, error) { refused = true; return Finding{}, nil }
				}
				if _, err := s.Launch(ctx, fmt.Sprintf("%s-again-%d", s.Name, i), w); err != nil {
					return Finding{}, fmt.Errorf("run another container: %w", err)
				}
				if failing && !refused {
					return Finding{}, errors.New("a mount of a directory on a file did not fail")
				}
			}
			return look(1 + moreLives)
		},
		Refused: func(_ context.Context, err error) (Finding, error) {
			f, lookErr := look(1)
			if lookErr == nil && !f.Breached {
				return f, err // refused for another reason
			}
			return f, lookErr
		},
	}, nil
}
