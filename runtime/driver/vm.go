package driver

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/cgroup"
	"cellwall/runtime/cleanup"
	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
)

// VMName is the name of the runtime whose containers are virtual machines.
const VMName = "vm"

// The hidden command of this program that boots a container's machine, and its flags. GuestDescribe boots one
// that does nothing, and prints the accelerator and the kernel's release.
const (
	GuestCommand  = "guest"
	GuestKernel   = "kernel"   // release, or the beginning of one
	GuestAccel    = "accel"    // as GuestDescribe has found it
	GuestSpec     = "spec"     // descriptor of the OCI spec
	GuestBegan    = "began"    // descriptor to which it writes a byte when the program is about to begin
	GuestDescribe = "describe" // alone
)

// vm makes of a container a machine of its own: the root directory is copied into it, and the program is root of
// its kernel. What a kernel does to hold processes apart from each other has no place there.
type vm struct {
	self, kernel, accel string
}

// describeTimeout is for two boots: of one accelerator that does not work, and of one that does.
const describeTimeout = 2 * time.Minute

// newVM boots a machine, so that what is asked of it later can be had. An empty kernel is the newest in the cache.
func newVM(ctx context.Context, name, kernel string) (Runtime, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, describeTimeout)
	defer cancel()
	args := []string{GuestCommand, "--" + GuestDescribe}
	if kernel != "" {
		args = append(args, "--"+GuestKernel+"="+kernel)
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.WaitDelay = drained
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.Exited() {
		return nil, &Unfit{Name: name, Why: errors.New(cmp.Or(inOneLine(said.String()), exit.Error()))}
	}
	var v vm
	var release string
	if _, scan := fmt.Sscan(string(out), &v.accel, &release); err != nil || scan != nil {
		return nil, fmt.Errorf("ask %s for a machine: %w", self, cmp.Or(ctx.Err(), err, scan))
	}
	v.self, v.kernel = self, release
	return &tool{name: name, version: release + " by " + v.accel, recipe: &v}, nil
}

// Floor is where namespaces come: a machine shares nothing that they could hold apart.
func (v *vm) Floor() spec.Rung { return spec.Namespaces }

func (v *vm) Lacks() spec.Edits {
	return append(without("user-namespace", "device-filter", "rlimits", "capabilities", "no-new-privileges", "seccomp", "masked-paths", "readonly-paths"),
		spec.Change("no clock offsets", func(s *specs.Spec) { s.Linux.TimeOffsets = nil }),
		spec.Change("the /dev of its kernel", func(s *specs.Spec) { spec.WithoutMount("/dev").Apply(s) }),
		spec.Change("limits of memory and CPU time alone", func(s *specs.Spec) {
			if r := s.Linux.Resources; r != nil {
				s.Linux.Resources = &specs.LinuxResources{Memory: &specs.LinuxMemory{}, CPU: &specs.LinuxCPU{}, Pids: &specs.LinuxPids{}}
				if r.Memory != nil {
					s.Linux.Resources.Memory.Limit = r.Memory.Limit
				}
				if r.CPU != nil {
					s.Linux.Resources.CPU.Quota, s.Linux.Resources.CPU.Period = r.CPU.Quota, r.CPU.Period
				}
			}
		}))
}

// guestMounts are the file systems that a guest mounts as a spec says: its kernel's own.
var guestMounts = map[string]bool{"proc": true, "sysfs": true, "tmpfs": true, "devpts": true, "mqueue": true}

func (v *vm) expresses(b Bundle) error {
	s := b.Spec
	for _, t := range []specs.LinuxNamespaceType{
		specs.MountNamespace, specs.PIDNamespace, specs.IPCNamespace, specs.UTSNamespace, specs.NetworkNamespace, specs.CgroupNamespace,
	} {
		if !makes(s, t) {
			return kernel.Unsupported("vm shares no %s namespace with the host", t)
		}
	}
	if len(joined(s)) > 0 {
		return kernel.Unsupported("vm joins no namespace")
	}
	c := s.Process.Capabilities
	for _, no := range []struct {
		there bool
		what  string
	}{
		{!path.IsAbs(s.Process.Args[0]), "looks for no program: its path must begin with a slash"},
		{spec.HasNamespace(s, specs.UserNamespace), "makes no user namespace"},
		{s.Root.Readonly, "has a root directory of its own, which is never read-only"},
		{c != nil, "takes no capability away, and gives none"},
		{s.Process.NoNewPrivileges, "sets no no_new_privs"},
		{len(s.Process.Rlimits) > 0, "sets no rlimits"},
		{s.Process.User.Umask != nil, "sets no umask"},
		{s.Linux.Seccomp != nil, "loads no seccomp filter"},
		{len(s.Linux.MaskedPaths)+len(s.Linux.ReadonlyPaths) > 0, "masks nothing"},
		{len(s.Linux.Sysctl) > 0, "sets no sysctl"},
		{len(s.Linux.Devices) > 0, "makes no devices"},
		{len(s.Linux.TimeOffsets) > 0, "sets no clock"},
		{s.Annotations[spec.DenySetgroups] != "", "denies no setgroups(2)"},
	} {
		if no.there {
			return kernel.Unsupported("vm %s", no.what)
		}
	}
	for _, m := range s.Mounts {
		if m.Type == "bind" {
			if info, err := os.Stat(m.Source); err != nil || !info.Mode().IsRegular() || !slices.Contains(m.Options, "ro") {
				return kernel.Unsupported("vm shares nothing with the host: only a file that is bound read-only to %s would be copied", m.Destination)
			}
		} else if !guestMounts[m.Type] {
			return kernel.Unsupported("vm mounts no %s on %s", m.Type, m.Destination)
		}
	}
	if err := v.limits(s.Linux.Resources); err != nil {
		return err
	}
	return imageable(s.Root.Path)
}

// limits says that nothing is limited but memory and CPU time.
func (v *vm) limits(r *specs.LinuxResources) error {
	if r == nil {
		return nil
	}
	c := *r
	if c.Memory != nil {
		m := *c.Memory
		if m.Swap != nil && m.Limit != nil && *m.Swap == *m.Limit {
			m.Swap = nil // it has none
		}
		m.Limit = nil
		c.Memory = &m
	}
	if c.CPU != nil {
		cpu := *c.CPU
		cpu.Quota, cpu.Period = nil, nil
		c.CPU = &cpu
	}
	others, err := limitsOf(&c)
	if err == nil && len(others) > 0 {
		err = kernel.Unsupported("vm limits memory and CPU time, and not %s", strings.Join(others, ", "))
	}
	return err
}

func (v *vm) command(b Bundle, undo *cleanup.Stack) (l launch, err error) {
	text, err := json.Marshal(b.Spec)
	if err != nil {
		return l, fmt.Errorf("encode the spec: %w", err)
	}
	file, err := inMemory("spec", text)
	if err != nil {
		return l, err
	}
	undo.Push("close the spec", file.Close)
	// It needs none of the host's: whoever gets out of the machine is in these.
	l.unshare = unix.CLONE_NEWNET | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS | unix.CLONE_NEWCGROUP
	read, write, err := os.Pipe()
	if err != nil {
		return l, fmt.Errorf("make a pipe: %w", err)
	}
	undo.Push("close the pipe", read.Close)
	undo.Push("close the other end of the pipe", func() error { _ = write.Close(); return nil }) // it is closed when the tool has its own
	l.began, l.files = read, []*os.File{file, write}
	l.argv = []string{
		v.self, GuestCommand, "--" + GuestKernel + "=" + v.kernel, "--" + GuestAccel + "=" + v.accel, "--" + GuestSpec + "=3", "--" + GuestBegan + "=4",
	}
	if r := b.Spec.Linux.Resources; r != nil && r.CPU != nil {
		l.limits, err = cgroup.LimitsFromSpec(&specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: r.CPU.Quota, Period: r.CPU.Period}})
	}
	return l, err
}
