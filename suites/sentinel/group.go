package sentinel

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/cgroup"
	"cellwall/runtime/spec"
	"cellwall/suites/attack"
)

// limited are edits that shape the limits of a bait. Below the rung where limits begin there are
// none to shape.
func (s *Stage) limited(apply func(*specs.Spec)) spec.Edits {
	if !s.Rung.Covers(spec.Limits) {
		return nil
	}
	return spec.Edits{spec.Change("limits that the attack soon meets", func(sp *specs.Spec) {
		if sp.Linux.Resources == nil {
			sp.Linux.Resources = &specs.LinuxResources{}
		}
		apply(sp)
	})}
}

// unified sets files of cgroup v2 by their names.
func unified(s *specs.Spec, files map[string]string) {
	if s.Linux.Resources.Unified == nil {
		s.Linux.Resources.Unified = map[string]string{}
	}
	maps.Copy(s.Linux.Resources.Unified, files)
}

// cgroupMount shows the container its own cgroups.
func (s *Stage) cgroupMount(options ...string) spec.Edits {
	if !s.Rung.Covers(spec.Namespaces) {
		return nil
	}
	return spec.Edits{spec.WithMount(specs.Mount{
		Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup",
		Options: append([]string{"nosuid", "noexec", "nodev"}, options...),
	})}
}

// ownGroup reports whether a cgroup is the container's own: one of the trial's name, or one below the fence that
// an engine has named by an id of its own. What else the trial makes there starts with its name.
func (s *Stage) ownGroup(dir string) bool {
	return filepath.Base(dir) == s.Name || s.ownName(dir) && slices.ContainsFunc(s.Fence.Hierarchies(), func(f cgroup.Hierarchy) bool {
		return strings.HasPrefix(dir, f.Path+"/")
	})
}

// ownName reports whether a path ends in the name of the container's cgroup, or in one that is none of the trial's.
func (s *Stage) ownName(path string) bool {
	name := filepath.Base(path)
	return name == s.Name || !strings.HasPrefix(name, s.Name)
}

// delegate gives the attacker its own cgroups, as a manager does that lets it make groups below
// them: cgroups(7), "Cgroups delegation". The limits of the groups themselves stay ours.
func (s *Stage) delegate(a *Subject) error {
	uid, err := a.uid()
	if err != nil {
		return err
	}
	for _, h := range a.Group.Hierarchies() {
		if !s.ownGroup(h.Path) {
			continue // not the trial's own
		}
		for _, file := range []string{"", "cgroup.procs", "cgroup.threads", "cgroup.subtree_control", "tasks"} {
			err := os.Chown(filepath.Join(h.Path, file), int(uid), int(uid))
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("delegate: %w", err)
			}
		}
	}
	return nil
}

// status returns a field of the attacker's /proc/PID/status, "Uid:".
func (a *Subject) status(field string) (string, error) {
	text, err := statusOf(a.PID)
	if err != nil {
		return "", err
	}
	v := StatusField(text, field)
	if v == "" {
		return "", fmt.Errorf("look at the attacker: no %s in its status", field)
	}
	return v, nil
}

// uid is the attacker's kernel uid.
func (a *Subject) uid() (uint32, error) {
	v, err := a.status("Uid:")
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(strings.Fields(v)[0], 10, 32)
	return uint32(n), err
}

// children are the attacker's, by pid, zombies among them.
func (a *Subject) children() ([]int, error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", a.PID))
	if err != nil {
		return nil, err
	}
	var all []int
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			continue // a thread that has ended
		}
		for word := range strings.FieldsSeq(string(b)) {
			pid, err := strconv.Atoi(word)
			if err != nil {
				return nil, fmt.Errorf("parse %s: %w", f, err)
			}
			all = append(all, pid)
		}
	}
	return all, nil
}

// group makes a group of the trial's own below the fence, or below another group.
func (s *Stage) group(parent *cgroup.Group, name string, l cgroup.Limits) (*cgroup.Group, error) {
	g, err := parent.Create(s.Name+"-"+name, l)
	if err != nil {
		return nil, err
	}
	s.Undo.Push("remove the group of the "+name, g.Close)
	return g, nil
}

// parent makes a group below the fence that containers can be put below: it has all that the fence
// has. A runtime makes it in every hierarchy that is mounted, and removes the container's own group only.
func (s *Stage) parent(name string, l cgroup.Limits) (*cgroup.Group, error) {
	l.Devices = []cgroup.DeviceRule{{Allow: true}}
	for _, c := range []string{"cpuset", "io", "hugetlb"} {
		if s.Fence.Path(c) != "" {
			l.Controllers = append(l.Controllers, c)
		}
	}
	beside := filepath.Join(s.Fence.Hierarchies()[0].Below, s.Name+"-"+name)
	s.Undo.Push("remove what runtimes made beside the group of the "+name, func() error { return cgroup.RemoveAt(beside) })
	return s.group(s.Fence, name, l)
}

// neighbour is a part of an attack that runs on the host beside the container.
type neighbour struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	gone chan struct{}
}

// neighbour starts a part of an attack on the host, in a group if one is given. It ends with the
// stage. Parts that must not begin before they are in the group read a line first.
func (s *Stage) neighbour(what attack.Attack, t attack.Target, g *cgroup.Group) (*neighbour, error) {
	target, err := json.Marshal(t)
	if err != nil {
		return nil, fmt.Errorf("start a neighbour: %w", err)
	}
	cmd := exec.Command(s.Binary, what.Name, string(target))
	cmd.Args[0] = attack.Program
	cmd.Env = []string{}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Stderr = os.Stderr
	n := &neighbour{cmd: cmd, gone: make(chan struct{})}
	if n.in, err = cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("start a neighbour: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start a neighbour: %w", err)
	}
	n.out = bufio.NewReader(out)
	if err := startLasting(cmd, n.gone); err != nil {
		return nil, fmt.Errorf("start a neighbour: %w", err)
	}
	s.Undo.Push("end a neighbour", n.end)
	if g == nil {
		return n, nil
	}
	return n, g.Add(cmd.Process.Pid)
}

// begin lets it go on from its first line.
func (n *neighbour) begin() error {
	_, err := io.WriteString(n.in, "\n")
	return err
}

// hears returns its next line.
func (n *neighbour) hears() (string, error) {
	line, err := n.out.ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("hear from a neighbour: %w", err)
	}
	return strings.TrimSpace(line), nil
}

func (n *neighbour) end() error {
	defer close(n.gone)
	_ = n.cmd.Process.Kill()
	var exit *exec.ExitError
	if err := n.cmd.Wait(); err != nil && !errors.As(err, &exit) {
		return err
	}
	return nil
}
