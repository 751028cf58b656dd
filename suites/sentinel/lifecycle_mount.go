package sentinel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/spec"
)

// mountStandIn is a mount namespace with a copy of the host's mounts, which takes the host's
// place. It is gone with its descriptor.
type mountStandIn struct{ file *os.File }

// mountStandIn makes it with shared mounts, as systemd leaves the host's. They are no peers of
// the host's own: nothing that happens there reaches the host.
func (s *Stage) mountStandIn() (*mountStandIn, error) {
	m := &mountStandIn{}
	err := onThread(func() error {
		if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
			return fmt.Errorf("unshare mount namespace: %w", err)
		}
		for _, propagation := range []uintptr{unix.MS_PRIVATE, unix.MS_SHARED} { // in this order
			if err := unix.Mount("", "/", "", propagation|unix.MS_REC, ""); err != nil {
				return fmt.Errorf("set propagation of the stand-in: %w", err)
			}
		}
		var err error
		m.file, err = os.Open("/proc/thread-self/ns/mnt")
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("make a stand-in for the host's mounts: %w", err)
	}
	s.Undo.Push("close the mount namespace", m.file.Close)
	return m, nil
}

// path is what Watch.From wants.
func (m *mountStandIn) path() string { return fmt.Sprintf("/proc/self/fd/%d", m.file.Fd()) }

// mounts lists what is mounted in it.
func (m *mountStandIn) mounts() (list []string, err error) {
	err = onThread(func() error {
		err := errors.Join(unix.Unshare(unix.CLONE_FS), unix.Setns(int(m.file.Fd()), unix.CLONE_NEWNS))
		if err != nil {
			return fmt.Errorf("enter the stand-in for the host's mounts: %w", err)
		}
		text, err := os.ReadFile("/proc/thread-self/mountinfo")
		list = slices.Collect(strings.Lines(string(text)))
		return err
	})
	return list, err
}

// directoryOnFile is a mount that every runtime can be asked for and none can make: of a directory on
// a file of the root directory.
func directoryOnFile(dir string) spec.Edit { return spec.WithMount(spec.Bind(dir, "/etc/passwd")) }

// NoMountLeft compares the mounts of a stand-in for the host before and after containers with
// volumes and masks, and one whose creation fails at a mount.
func NoMountLeft(s *Stage) (*Watch, error) {
	host, err := s.mountStandIn()
	if err != nil {
		return nil, err
	}
	before, err := host.mounts()
	if err != nil {
		return nil, err
	}
	volume := filepath.Join(s.Dir, "volume")
	if err := os.Mkdir(volume, 0o755); err != nil { //nolint:gosec // every uid may see it
		return nil, fmt.Errorf("make a volume: %w", err)
	}
	edits := spec.Edits{
		spec.WithMount(spec.Bind(volume, "/volume", "ro")),
		spec.Change("masked paths", func(sp *specs.Spec) {
			sp.Linux.MaskedPaths = append(sp.Linux.MaskedPaths, "/proc/kcore", "/sys/firmware")
		}),
	}
	if s.Rung == spec.Bare || s.Rung == spec.Chroot {
		edits = nil // they have no mounts of their own
	}
	look := func(lives int) (Finding, error) {
		after, err := host.mounts()
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
