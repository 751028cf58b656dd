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
)

// hostMounts is a mount namespace that stands in for the host's: a private copy of it, held by
// one thread. What is mounted there never was on the host, and goes with the thread, even where
// the harness is killed.
type hostMounts struct {
	thread string // its directory in procfs
	jobs   chan func()
	ended  chan struct{}
}

// hostMounts makes a stand-in for the host's mounts. It ends with the stage.
func (s *Stage) hostMounts() (*hostMounts, error) {
	h := &hostMounts{jobs: make(chan func()), ended: make(chan struct{})}
	go func() {
		defer close(h.ended)
		_ = kernel.OnThread(func() error {
			for f := range h.jobs {
				f()
			}
			return nil
		})
	}()
	s.Undo.Push("end the stand-in for the host's mounts", func() error {
		close(h.jobs)
		<-h.ended
		return nil
	})
	return h, h.do(func() error {
		h.thread = fmt.Sprintf("/proc/%d/task/%d", os.Getpid(), unix.Gettid())
		if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
			return fmt.Errorf("copy the host's mounts: %w", err)
		}
		if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("make the copy of the host's mounts private: %w", err)
		}
		return nil
	})
}

// share makes the mounts shared, as systemd leaves the host's. They are no peers of the host's own:
// nothing that happens there reaches the host.
func (h *hostMounts) share() error {
	return h.do(func() error {
		if err := unix.Mount("", "/", "", unix.MS_SHARED|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("share the stand-in's mounts: %w", err)
		}
		return nil
	})
}

// do calls f inside.
func (h *hostMounts) do(f func() error) error {
	done := make(chan error, 1)
	h.jobs <- func() { done <- f() }
	return <-done
}

// guard completes the watch over an attack that mounts: one that has come to the host's own
// mounts after all does not get its go.
func (h *hostMounts) guard(w *Watch) *Watch {
	w.From = h.path()
	ready := w.Ready
	w.Ready = func(ctx context.Context, a *Subject) error {
		theirs, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/mnt", a.PID))
		if err != nil {
			return fmt.Errorf("read namespace of the attacker: %w", err)
		}
		ours, err := os.Readlink("/proc/self/ns/mnt")
		if err != nil {
			return fmt.Errorf("read our namespace: %w", err)
		}
		if theirs == ours {
			return errors.New("the attacker is in the host's own mount namespace: its attack would change that")
		}
		if ready == nil {
			return nil
		}
		return ready(ctx, a)
	}
	return w
}

// path is the namespace's file, for Watch.From.
func (h *hostMounts) path() string { return h.thread + "/ns/mnt" }

// list returns the mounts inside, as lines of proc_pid_mountinfo(5).
func (h *hostMounts) list() ([]string, error) { return mountList(h.thread) }

// mountList returns the lines of mountinfo of a process or thread, by its directory in procfs.
func mountList(proc string) ([]string, error) {
	b, err := os.ReadFile(proc + "/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("read mounts: %w", err)
	}
	return strings.Split(strings.TrimSpace(string(b)), "\n"), nil
}

// volumePrefix starts the destination of every volume.
const volumePrefix = "/volume-"

// IsVolume reports whether a mount is a volume of a trial.
func IsVolume(m specs.Mount) bool { return strings.HasPrefix(m.Destination, volumePrefix) }

// volume is a directory of the host that a container is shown. It lies in the root directory, at
// the very path at which it is shown: below the rung of mount namespaces, where nothing is
// mounted, the same path leads to it, and nothing protects it.
type volume struct {
	host string // its path on the host
	path string // its destination in the container
}

// sharedDirectory makes an empty volume. Modes are not the barrier: everybody may write to it.
func (s *Stage) sharedDirectory() (*volume, error) {
	v := &volume{path: volumePrefix + s.Name}
	v.host = filepath.Join(s.Rootfs, v.path)
	return v, publicDir(v.host)
}

// tmpfs makes the volume a file system of its own in the stand-in for the host's mounts: one
// without flags, and away from the host's disks.
func (v *volume) tmpfs(h *hostMounts) error { return h.do(func() error { return tmpfs(v.host) }) }

func tmpfs(at string) error {
	if err := unix.Mount("tmpfs", at, "tmpfs", 0, "mode=777,size=256m"); err != nil {
		return fmt.Errorf("mount tmpfs: %w", err)
	}
	return nil
}

// bind shows the volume with options.
func (v *volume) bind(options ...string) spec.Edit {
	return spec.WithMount(spec.Bind(v.host, v.path, options...))
}

// mask masks paths where the container has mounts of its own.
func mask(paths ...string) spec.Edit {
	return spec.Change("masks", func(s *specs.Spec) {
		if spec.HasNamespace(s, specs.MountNamespace) {
			s.Linux.MaskedPaths = append(s.Linux.MaskedPaths, paths...)
		}
	})
}

// publicDir makes a directory in which everybody may write.
func publicDir(path string) error {
	if err := os.Mkdir(path, 0o777); err != nil { // modes are not the barrier
		return fmt.Errorf("make bait: %w", err)
	}
	return chmod(path, 0o777)
}

// publicFile makes a file that everybody may read and write.
func publicFile(path, content string) error {
	if err := os.WriteFile(path, []byte(content), 0o666); err != nil { // modes are not the barrier
		return fmt.Errorf("make bait: %w", err)
	}
	return chmod(path, 0o666)
}

// chmod sets a mode whatever the umask.
func chmod(path string, mode os.FileMode) error {
	if err := os.Chmod(path, mode); err != nil {
		return fmt.Errorf("make bait: %w", err)
	}
	return nil
}

// changeable fills a directory with what attacks change: the files "file", "gone" and "moved".
func changeable(dir, nonce string) error {
	return errors.Join(
		publicFile(dir+"/file", nonce+strings.Repeat("\n", 4096)),
		publicFile(dir+"/gone", nonce),
		publicFile(dir+"/moved", nonce),
	)
}
