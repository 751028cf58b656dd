package guarantee

import (
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
	"cellwall/suites/attack"
	"cellwall/suites/sentinel"
)

// What a container does to processes of the host.
func processHostRows() []Guarantee {
	return []Guarantee{{
		ID:       "process.pidfd-open",
		Claim:    "cannot obtain or use a pidfd of a host process",
		Source:   "pidfd_open(2), pidfd_send_signal(2): EINVAL",
		Barrier:  "pid namespace",
		Rung:     spec.Namespaces,
		Gates:    []*kernel.Feature{kernel.PidfdOpen, kernel.PidfdSendSignal},
		Attack:   attack.PidfdOpen,
		Witness:  sentinel.PidfdUnsignalled,
		Refusal:  Refusals{unix.ESRCH: PIDNamespace, unix.EINVAL: PIDNamespace, unix.EPERM: DAC},
		Controls: spec.Edits{spec.WithoutNamespace(specs.PIDNamespace)},
	}, {
		ID:       "process.trace-host",
		Claim:    "cannot trace, read or compare host processes",
		Source:   "ptrace(2), process_vm_readv(2), kcmp(2), proc_pid_mem(5)",
		Barrier:  "pid namespace",
		Rung:     spec.Namespaces,
		Attack:   attack.TraceHost,
		Witness:  sentinel.ProcessUntraced,
		Refusal:  Refusals{unix.ESRCH: PIDNamespace, unix.ENOENT: PIDNamespace},
		Controls: spec.Edits{spec.WithoutNamespace(specs.PIDNamespace)},
	}, {
		ID:      "process.proc-view",
		Claim:   "sees only its own processes in /proc",
		Source:  "pid_namespaces(7), /proc and PID namespaces",
		Barrier: "procfs of its own, of a pid namespace of its own",
		Rung:    spec.Namespaces,
		Attack:  attack.ProcView,
		Witness: sentinel.ProcessUnseen,
		Refusal: Refusals{unix.ENOENT: RootDirectory},
		Controls: spec.Edits{
			spec.WithMount(spec.Bind("/proc", "/proc")),
			spec.WithoutNamespace(specs.PIDNamespace),
		},
	}, {
		ID:       "process.sender-hidden",
		Claim:    "cannot learn the sender's pid of a host signal",
		Source:   "pid_namespaces(7), sigaction(2): si_pid",
		Barrier:  "pid namespace",
		Rung:     spec.Namespaces,
		Attack:   attack.SenderHidden,
		Witness:  sentinel.SenderUnknown,
		Controls: spec.Edits{spec.WithoutNamespace(specs.PIDNamespace)},
	}, {
		ID:       "process.retune-host",
		Claim:    "cannot change limits, affinity or priority of host processes",
		Source:   "getrlimit(2), sched_setaffinity(2), sched(7), setpriority(2), ioprio_set(2)",
		Barrier:  "pid namespace",
		Rung:     spec.Namespaces,
		Attack:   attack.RetuneHost,
		Witness:  sentinel.ProcessUntuned,
		Refusal:  Refusals{unix.ESRCH: PIDNamespace},
		Controls: spec.Edits{spec.WithoutNamespace(specs.PIDNamespace)},
	}, {
		ID:      "process.steal-fd",
		Claim:   "cannot take a descriptor from a host process",
		Source:  "pidfd_getfd(2), ptrace(2): PTRACE_MODE_ATTACH_REALCREDS",
		Barrier: "ptrace access check (user namespace)",
		Rung:    spec.Hardened,
		Gates:   []*kernel.Feature{kernel.PidfdGetfd, kernel.UserNamespace},
		Attack:  attack.StealFD,
		Witness: sentinel.DescriptorKept,
		Refusal: Refusals{unix.EPERM: UserNamespace, unix.ESRCH: PIDNamespace},
		Both:    spec.Edits{spec.Allowing("pidfd_getfd")},
		Controls: spec.Edits{
			spec.Change("no user namespace, but the same kernel uid", func(s *specs.Spec) {
				if len(s.Linux.UIDMappings) > 0 {
					root := s.Linux.UIDMappings[0].HostID
					spec.WithoutNamespace(specs.UserNamespace).Apply(s)
					s.Process.User.UID, s.Process.User.GID = root, root
				}
			}),
		},
	}}
}
