package sentinel

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
)

// standIn is a bait process in a namespace of its own, which takes the place of the host's:
// what lies in it is what an attack aims at, and it ends with the process, even where the
// harness is killed.
type standIn struct {
	*Process
	kind specs.LinuxNamespaceType
	name string // in /proc/PID/ns
	flag int    // CLONE_NEW*

	host string // the harness's own namespace
}

var standInFiles = map[int]struct {
	kind specs.LinuxNamespaceType
	name string
}{
	unix.CLONE_NEWNET: {specs.NetworkNamespace, "net"},
	unix.CLONE_NEWIPC: {specs.IPCNamespace, "ipc"},
	unix.CLONE_NEWUTS: {specs.UTSNamespace, "uts"},
}

// standIn makes a namespace that stands in for the host's. It ends with the stage.
func (s *Stage) standIn(flag int) (*standIn, error) {
	file := standInFiles[flag]
	host, err := os.Readlink("/proc/self/ns/" + file.name)
	if err != nil {
		return nil, fmt.Errorf("read our namespace: %w", err)
	}
	p, err := s.ProcessWith(ProcessOptions{Cloneflags: uintptr(flag)})
	if err != nil {
		return nil, err
	}
	return &standIn{Process: p, kind: file.kind, name: file.name, flag: flag, host: host}, nil
}

// inside runs f on a thread in the stand-in.
func (n *standIn) inside(f func() error) error {
	return inNamespace(n.flag, n.NamespacePath(n.name), f)
}

// guard completes a watch: a container without a namespace of its own gets the stand-in. One
// that is in the host's own all the same is breached, and gets no go to act there.
func (n *standIn) guard(w *Watch) *Watch {
	w.Fence = append(w.Fence, spec.StandIn(n.kind, n.NamespacePath(n.name)))
	ready := w.Ready
	w.Ready = func(ctx context.Context, s *Subject) error {
		theirs, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", s.PID, n.name))
		if err != nil {
			return fmt.Errorf("read namespace of the attacker: %w", err)
		}
		if theirs == n.host {
			return &Seen{Finding{Breached: true, Evidence: fmt.Sprintf("the attacker is in the host's own %s namespace", n.kind)}}
		}
		if ready == nil {
			return nil
		}
		return ready(ctx, s)
	}
	return w
}

// inNamespace runs f on a thread that has entered the namespace behind path and ends with f.
// Descriptors that f opens stay open, and belong to the namespace.
func inNamespace(flag int, path string, f func() error) error {
	return kernel.OnThread(func() error {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("open namespace: %w", err)
		}
		if err := errors.Join(unix.Setns(fd, flag), unix.Close(fd)); err != nil {
			return fmt.Errorf("enter namespace %s: %w", path, err)
		}
		return f()
	})
}
