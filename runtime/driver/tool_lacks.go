package driver

import (
	"slices"
	"strings"
	"sync"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/spec"
)

// part is something of a spec that a tool may lack, by the name that templates have for it.
type part struct {
	name string
	edit spec.Edit
}

// parts are all that can be lacked, in the order in which a spec loses them.
var parts = sync.OnceValue(func() []part {
	return []part{
		{"time-namespace", spec.WithoutNamespace(specs.TimeNamespace)},
		{"cgroup-namespace", spec.WithoutNamespace(specs.CgroupNamespace)},
		{"net-namespace", spec.WithoutNamespace(specs.NetworkNamespace)},
		{"ipc-namespace", spec.WithoutNamespace(specs.IPCNamespace)},
		{"uts-namespace", spec.WithoutNamespace(specs.UTSNamespace)},
		{"pid-namespace", spec.WithoutNamespace(specs.PIDNamespace)},
		{"user-namespace", spec.WithoutNamespace(specs.UserNamespace)},
		{"mount-namespace", spec.WithoutNamespace(specs.MountNamespace)},
		{"proc", spec.WithoutMount("/proc")},
		{"dev", spec.Change("no mounts in /dev", func(s *specs.Spec) {
			s.Mounts = slices.DeleteFunc(s.Mounts, func(m specs.Mount) bool { return m.Destination == "/dev" || strings.HasPrefix(m.Destination, "/dev/") })
		})},
		{"sysfs", spec.WithoutMount("/sys")},
		{"tmp", spec.WithoutMount("/tmp")},
		{"hostname", spec.Change("no host name", func(s *specs.Spec) { s.Hostname = "" })},
		{"limits", spec.Change("no cgroup limits", func(s *specs.Spec) {
			if r := s.Linux.Resources; r != nil { // empty ones, which others may write to
				s.Linux.Resources = &specs.LinuxResources{Devices: r.Devices, Memory: &specs.LinuxMemory{}, CPU: &specs.LinuxCPU{}, Pids: &specs.LinuxPids{}}
			}
		})},
		{"device-filter", spec.Change("no device filter", func(s *specs.Spec) {
			if s.Linux.Resources != nil {
				s.Linux.Resources.Devices = nil
			}
		})},
		{"rlimits", spec.Change("the launcher's rlimits", func(s *specs.Spec) { s.Process.Rlimits = nil })},
		{"capabilities", spec.Change("the launcher's capabilities", func(s *specs.Spec) { s.Process.Capabilities = nil })},
		{"no-new-privileges", spec.Change("no no_new_privs", func(s *specs.Spec) { s.Process.NoNewPrivileges = false })},
		{"seccomp", spec.Unconfined()},
		{"masked-paths", spec.Change("nothing masked", func(s *specs.Spec) { s.Linux.MaskedPaths = nil })},
		{"readonly-paths", spec.Change("no read-only paths", func(s *specs.Spec) { s.Linux.ReadonlyPaths = nil })},
	}
})

func partNames() []string {
	var names []string
	for _, p := range parts() {
		names = append(names, p.name)
	}
	return names
}

// without are the edits of some parts.
func without(names ...string) spec.Edits {
	var edits spec.Edits
	for _, p := range parts() {
		if slices.Contains(names, p.name) {
			edits = append(edits, p.edit)
		}
	}
	return edits
}
