package spec

import (
	"fmt"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/seccomp"
)

// namespaces are those of the rung of that name; the user namespace comes with hardened.
func namespaces() []specs.LinuxNamespace {
	return []specs.LinuxNamespace{
		{Type: specs.MountNamespace},
		{Type: specs.PIDNamespace},
		{Type: specs.UTSNamespace},
		{Type: specs.IPCNamespace},
		{Type: specs.NetworkNamespace},
		{Type: specs.CgroupNamespace},
		{Type: specs.TimeNamespace},
	}
}

// defaultMounts are those of `runc spec`, and a /tmp of its own.
func defaultMounts() []specs.Mount {
	return []specs.Mount{
		{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
		{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
		{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "max=1024"}},
		{Destination: "/dev/shm", Type: "tmpfs", Source: "shm", Options: []string{"nosuid", "noexec", "nodev", "mode=1777", "size=65536k", "nr_inodes=4096"}},
		{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue", Options: []string{"nosuid", "noexec", "nodev"}},
		{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", "ro"}},
		{Destination: "/tmp", Type: "tmpfs", Source: "tmp", Options: []string{"nosuid", "nodev", "mode=1777", "size=65536k", "nr_inodes=4096"}},
	}
}

// Limits of the rung of that name: small enough that an attack meets them at once.
const (
	memoryLimit = 256 << 20 // bytes
	pidsLimit   = 256       // tasks
	cpuPeriod   = 100_000   // microseconds
	cpuQuota    = 100_000   // microseconds in a period: one CPU
)

func defaultLimits() *specs.LinuxResources {
	return &specs.LinuxResources{
		Memory: &specs.LinuxMemory{Limit: new(int64(memoryLimit)), Swap: new(int64(memoryLimit))},
		CPU:    &specs.LinuxCPU{Quota: new(int64(cpuQuota)), Period: new(uint64(cpuPeriod)), Shares: new(uint64(1024))},
		Pids:   &specs.LinuxPids{Limit: new(int64(pidsLimit))},
	}
}

// WithUserNamespace puts the container into a user namespace that maps its ids as the options
// say.
func WithUserNamespace(o Options) Edit {
	return Change("a user namespace", func(s *specs.Spec) {
		mapping := []specs.LinuxIDMapping{{ContainerID: 0, HostID: o.HostID, Size: max(o.IDCount, 1)}}
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
		s.Linux.UIDMappings = mapping
		s.Linux.GIDMappings = slices.Clone(mapping)
	})
}

// defaultCapabilities are those of `runc spec`.
var defaultCapabilities = []string{"CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"}

// keep returns those of the wanted capabilities that the launcher holds.
func keep(o Options, want []string) []string {
	return slices.DeleteFunc(slices.Clone(want), func(c string) bool { return !slices.Contains(o.Capabilities, c) })
}

// capabilities puts a list into the bounding, permitted and effective sets. Inheritable and
// ambient stay empty (CVE-2022-24769).
func capabilities(list []string) *specs.LinuxCapabilities {
	return &specs.LinuxCapabilities{
		Bounding:  slices.Clone(list),
		Permitted: slices.Clone(list),
		Effective: slices.Clone(list),
	}
}

// maskedPaths are moby's, since runc's own list lags behind it: oci/defaults.go.
var maskedPaths = []string{
	"/proc/acpi",
	"/proc/asound",
	"/proc/interrupts", // a timing side channel: moby masks it since 28.0
	"/proc/kcore",
	"/proc/keys",
	"/proc/latency_stats",
	"/proc/sched_debug",
	"/proc/scsi",
	"/proc/timer_list",
	"/proc/timer_stats",
	"/sys/devices/virtual/powercap", // PLATYPUS, CVE-2020-8694
	"/sys/firmware",
}

// readonlyPaths are those of `runc spec`.
var readonlyPaths = []string{
	"/proc/bus",
	"/proc/fs",
	"/proc/irq",
	"/proc/sys",
	"/proc/sysrq-trigger",
}

// rlimits bound what no cgroup counts. RLIMIT_CORE is 1 and not 0: a pipe handler in
// core_pattern runs at 0, not at 1 (core(5), do_coredump).
var rlimits = []specs.POSIXRlimit{
	{Type: "RLIMIT_CORE", Soft: 1, Hard: 1},
	{Type: "RLIMIT_MEMLOCK", Soft: 64 << 10, Hard: 64 << 10},
	{Type: "RLIMIT_MSGQUEUE", Soft: 819_200, Hard: 819_200},
	{Type: "RLIMIT_NOFILE", Soft: 1024, Hard: 1024},
	{Type: "RLIMIT_SIGPENDING", Soft: 1024, Hard: 1024},
}

// Devices that every container may use: the OCI runtime-spec's default devices, with the pty
// multiplexer and slaves (config-linux.md, "Default Devices").
var defaultDevices = []struct{ major, minor int64 }{
	{1, 3}, // null
	{1, 5}, // zero
	{1, 7}, // full
	{1, 8}, // random
	{1, 9}, // urandom
	{5, 0}, // tty
	{5, 1}, // console
	{5, 2}, // ptmx
}

const ptySlaveMajor = 136

func deviceRules() []specs.LinuxDeviceCgroup {
	rules := []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}}
	for _, d := range defaultDevices {
		rules = append(rules, specs.LinuxDeviceCgroup{Allow: true, Type: "c", Major: new(d.major), Minor: new(d.minor), Access: "rwm"})
	}
	return append(rules, specs.LinuxDeviceCgroup{Allow: true, Type: "c", Major: new(int64(ptySlaveMajor)), Access: "rwm"})
}

func defaultSeccomp(s *specs.Spec) *specs.LinuxSeccomp {
	profile, err := seccomp.Default(s)
	if err != nil {
		// The profile is part of this program and is compiled by its tests.
		panic(fmt.Sprintf("default seccomp profile: %v", err))
	}
	return profile
}
