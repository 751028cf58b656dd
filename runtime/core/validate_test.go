package core_test

import (
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/core"
	"cellwall/runtime/spec"
)

// TestMistakes: what people get wrong in a config.json is named, with the way out.
func TestMistakes(t *testing.T) {
	mount := func(m specs.Mount) func(*specs.Spec) {
		return func(s *specs.Spec) { s.Mounts = append(s.Mounts, m) }
	}
	for _, test := range []struct {
		change func(*specs.Spec)
		want   string
	}{
		{func(s *specs.Spec) { s.Process = nil }, "config.json needs process and root"},
		{func(s *specs.Spec) { s.Linux = nil }, "config.json needs linux"},
		{func(s *specs.Spec) { s.Process.Args = nil }, "process.args is empty: name a program"},
		{func(s *specs.Spec) { s.Process.Cwd = "tmp" }, `process.cwd "tmp" is not absolute`},
		{func(s *specs.Spec) { s.Root.Path = "rootfs" }, `root.path "rootfs" is not absolute`},
		{func(s *specs.Spec) { s.Process.User.UID = 1<<32 - 1 }, "process.user 4294967295:0: 4294967295 is no id"},
		{func(s *specs.Spec) { s.Process.User.GID = 1<<32 - 1 }, "process.user 0:4294967295: 4294967295 is no id"},
		{
			func(s *specs.Spec) { s.Process.Capabilities.Bounding = []string{"SYS_ADMIN"} },
			`process.capabilities: "SYS_ADMIN" is unknown: want a name such as CAP_SYS_ADMIN`,
		},
		{
			func(s *specs.Spec) { s.Process.Capabilities.Effective = []string{"CAP_SYS_ADMIN"} },
			"process.capabilities: CAP_SYS_ADMIN is effective, but not permitted",
		},
		{
			func(s *specs.Spec) { s.Process.Rlimits = []specs.POSIXRlimit{{Type: "NOFILE"}} },
			`process.rlimits: "NOFILE" is unknown: want a name such as RLIMIT_NOFILE`,
		},
		{
			func(s *specs.Spec) { s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: "allow"} },
			`linux.seccomp: compile seccomp profile: default action: unknown action "allow": want a name such as SCMP_ACT_ERRNO`,
		},
		{
			func(s *specs.Spec) { s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActErrno} },
			"linux.seccomp refuses execve(2): no program could start",
		},
		{mount(specs.Mount{Type: "tmpfs", Source: "data"}), "mounts: data has no destination"},
		{mount(specs.Mount{Destination: "/"}), `mounts: destination "/" is the root`},
		{mount(specs.Mount{Destination: "/data"}), "mounts: /data has no type"},
		{
			mount(specs.Mount{Destination: "/data", Type: "bind", Source: "/data"}),
			"mounts: /data is of type bind, but has neither the option bind nor rbind",
		},
		{mount(specs.Mount{Destination: "/data", Source: "data", Options: []string{"bind"}}), `mounts: source "data" of /data is not absolute`},
		{
			mount(specs.Mount{Destination: "/data", Source: "/data", Options: []string{"rbind", "readonly"}}),
			`mounts: option "readonly" of /data is unknown`,
		},
		{
			func(s *specs.Spec) { s.Linux.CgroupsPath = "system.slice:cellwall:x" },
			"not supported: linux.cgroupsPath: a container's cgroup lies below the launcher's and bears its name; leave the path out",
		},
		{
			func(s *specs.Spec) { s.Linux.Namespaces[0].Type = "net" },
			`linux.namespaces: type "net" is unknown: want cgroup, ipc, mount, network, pid, time, user or uts`,
		},
		{
			func(s *specs.Spec) { s.Linux.UIDMappings, s.Linux.GIDMappings = nil, nil },
			"linux.uidMappings and linux.gidMappings are needed for a user namespace",
		},
		{
			func(s *specs.Spec) { s.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/x", Type: "char"}} },
			`linux.devices: type "char" of /dev/x is unknown: want b, c, u or p`,
		},
		{
			func(s *specs.Spec) { s.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/x", Type: "c", Major: -1}} },
			"linux.devices: /dev/x has the number -1:0, want at most 4095:1048575",
		},
		{
			func(s *specs.Spec) { s.Linux.MaskedPaths = []string{""} },
			`linux.maskedPaths, linux.readonlyPaths: want absolute paths below the root, not ""`,
		},
		{
			func(s *specs.Spec) { s.Linux.ReadonlyPaths = []string{"/proc/.."} },
			`linux.maskedPaths, linux.readonlyPaths: want absolute paths below the root, not "/proc/.."`,
		},
		{
			func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{"kernel.panic": "1"} },
			"linux.sysctl: kernel.panic belongs to no namespace: it would change the host",
		},
		{
			func(s *specs.Spec) { s.Hooks = &specs.Hooks{Poststop: []specs.Hook{{Path: "clean"}}} },
			`hooks: path "clean" is not absolute`,
		},
		{func(s *specs.Spec) { s.Linux.RootfsPropagation = "none" }, `rootfsPropagation "none" is unknown`},
	} {
		s := spec.New(spec.Hardened, spec.Options{Rootfs: "/rootfs", Args: []string{"/program"}, HostID: 1 << 20, IDCount: 1 << 16})
		test.change(s)
		_, err := core.Compile(core.Request{Spec: s, Host: goldenHost})
		if err == nil || err.Error() != test.want || strings.Contains(err.Error(), "\n") {
			t.Errorf("got  %v\nwant %s", err, test.want)
		}
	}
}
