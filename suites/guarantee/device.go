package guarantee

import (
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
	"cellwall/suites/attack"
	"cellwall/suites/sentinel"
)

func deviceRows() []Guarantee {
	return []Guarantee{{
		ID:      "device.mknod",
		Claim:   "cannot make device nodes",
		Source:  "mknod(2), capabilities(7)",
		Barrier: "capability CAP_MKNOD",
		Rung:    spec.Hardened,
		Attack:  attack.MakeNodes,
		Witness: sentinel.NodesAbsent,
		Refusal: Refusals{unix.EPERM: Capability},
		Both: spec.Edits{
			spec.WithoutNamespace(specs.UserNamespace),
			spec.Change("device rules that allow making nodes", func(s *specs.Spec) {
				s.Linux.Resources.Devices = append(s.Linux.Resources.Devices,
					specs.LinuxDeviceCgroup{Allow: true, Type: "b", Access: "m"},
					specs.LinuxDeviceCgroup{Allow: true, Type: "c", Access: "m"})
			}),
		},
		Controls: spec.Edits{spec.WithCapability("CAP_MKNOD")},
	}, {
		ID:      "device.unlisted",
		Claim:   "cannot open or mount a device outside its list",
		Source:  "cgroup-v1/devices, cgroup-v2 device controller (BPF_PROG_TYPE_CGROUP_DEVICE)",
		Barrier: "device cgroup",
		Rung:    spec.Hardened,
		Gates:   []*kernel.Feature{kernel.LoopDevice},
		Attack:  attack.UnlistedDevice,
		Witness: sentinel.UnlistedUnread,
		Refusal: Refusals{unix.EPERM: Cgroup},
		Both: spec.Edits{
			spec.WithoutNamespace(specs.UserNamespace), spec.Unconfined(),
			spec.WithCapability("CAP_MKNOD"), spec.WithCapability("CAP_SYS_ADMIN"),
		},
		Controls: spec.Edits{{Name: sentinel.LoopDeviceRule}},
	}, {
		ID:      "device.default-set",
		Claim:   "sees only the default devices in /dev",
		Source:  "OCI runtime-spec, config-linux.md, Default Devices",
		Barrier: "a /dev of its own with no other nodes",
		Rung:    spec.Namespaces,
		Attack:  attack.DefaultDevices,
		Witness: sentinel.DevicesDefault,
		Controls: spec.Edits{
			withDevice("one more device", specs.LinuxDevice{Path: "/dev/canary", Type: "c", Major: 1, Minor: 3}),
			withDevice("a null device with the number of zero", specs.LinuxDevice{Path: "/dev/null", Type: "c", Major: 1, Minor: 5}),
		},
	}, {
		ID:      "device.terminal-injection",
		Claim:   "cannot inject input into the host's terminal",
		Source:  "ioctl_tty(2); CVE-2017-5226, CVE-2019-10063",
		Barrier: "seccomp 64-bit argument compare",
		Rung:    spec.Hardened,
		Attack:  attack.TerminalInjection,
		Witness: sentinel.TerminalUntyped,
		Refusal: Refusals{unix.EPERM: Seccomp},
		// dev.tty.legacy_tiocsti=0 asks for the capability in the initial user namespace.
		Both:     spec.Edits{spec.WithoutNamespace(specs.UserNamespace), spec.WithCapability("CAP_SYS_ADMIN")},
		Controls: spec.Edits{spec.Unconfined()},
	}, {
		ID:       "device.controlling-terminal",
		Claim:    "has no controlling terminal of the host",
		Source:   "setsid(2), tty(4)",
		Barrier:  "new session (setsid)",
		Rung:     spec.Runtime,
		Attack:   attack.ControllingTerminal,
		Witness:  sentinel.TerminalNotShared,
		Refusal:  Refusals{unix.ENXIO: RuntimeItself},
		Controls: spec.Edits{spec.Omitting("the launcher's session", "new-session")},
	}, {
		ID:       "device.private-pts",
		Claim:    "cannot open terminals of the host or of other containers",
		Source:   "pts(4), devpts newinstance",
		Barrier:  "devpts instance",
		Rung:     spec.Namespaces,
		Attack:   attack.PrivatePTS,
		Witness:  sentinel.TerminalUnwritten,
		Refusal:  Refusals{unix.ENOENT: MountNamespace},
		Controls: spec.Edits{{Name: "the host's /dev/pts", Apply: spec.WithMount(spec.Bind("/dev/pts", "/dev/pts")).Apply}},
	}}
}

func withDevice(name string, d specs.LinuxDevice) spec.Edit {
	return spec.Change(name, func(s *specs.Spec) { s.Linux.Devices = append(s.Linux.Devices, d) })
}
