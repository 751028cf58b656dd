package guarantee

import (
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/spec"
	"cellwall/suites/attack"
	"cellwall/suites/sentinel"
)

// allowUnless adds rules that let a call pass where an argument is not a value.
func allowUnless(name string, rules ...specs.LinuxSyscall) spec.Edit {
	return spec.Change(name, func(s *specs.Spec) {
		if s.Linux.Seccomp != nil {
			s.Linux.Seccomp.Syscalls = append(s.Linux.Seccomp.Syscalls, rules...)
		}
	})
}

func syscallRows() []Guarantee {
	return []Guarantee{{
		ID:       "syscall.rule-matrix",
		Claim:    "gets the configured answer for every operator and argument of its rules",
		Source:   "seccomp(2); OCI runtime-spec, config-linux.md: Seccomp",
		Barrier:  "seccomp",
		Rung:     spec.Hardened,
		Attack:   attack.MatchRules,
		Witness:  sentinel.RulesAnswered,
		Alone:    true, // a tracer waits on its own
		Controls: spec.Edits{spec.Unconfined()},
	}, {
		ID:      "syscall.unknown-enosys",
		Claim:   "gets ENOSYS for system calls newer than its profile",
		Source:  "moby seccomp profile; runc libcontainer/seccomp/patchbpf: ENOSYS stub",
		Barrier: "seccomp stub rules",
		Rung:    spec.Hardened,
		Attack:  attack.UnknownCall,
		Witness: sentinel.UnknownAnswered,
		Alone:   true, // a tracer waits on its own
		// The newest call that has a name: what lies below it is known, and gets the default.
		Controls: spec.Edits{spec.OnCore(spec.Allowing("rseq_slice_yield"))},
	}, {
		ID:      "syscall.args-64bit",
		Claim:   "cannot hide a forbidden argument in the high 32 bits",
		Source:  "CVE-2019-10063, CVE-2023-28100",
		Barrier: "seccomp 64-bit argument compare",
		Rung:    spec.Hardened,
		Attack:  attack.HiddenArguments,
		Witness: sentinel.HiddenRefused,
		Alone:   true, // a tracer waits on its own
		Refusal: Refusals{sentinel.FilterMark: Seccomp},
		Controls: spec.Edits{allowUnless("arguments that a value in the high bits hides",
			specs.LinuxSyscall{Names: []string{"ioctl"}, Action: specs.ActAllow, Args: []specs.LinuxSeccompArg{{Index: 1, Value: unix.TIOCSTI, Op: specs.OpNotEqual}}},
			specs.LinuxSyscall{Names: []string{"socket"}, Action: specs.ActAllow, Args: []specs.LinuxSeccompArg{{Index: 0, Value: unix.AF_VSOCK, Op: specs.OpNotEqual}}},
			specs.LinuxSyscall{Names: []string{"personality"}, Action: specs.ActAllow, Args: []specs.LinuxSeccompArg{{Index: 0, Value: attack.AddrNoRandomize, Op: specs.OpNotEqual}}},
		)},
	}, {
		ID:       "syscall.risky-calls",
		Claim:    "cannot use risky system calls, or any other that its profile refuses",
		Source:   "moby seccomp profile; seccomp(2): SECCOMP_RET_TRACE; keyrings(7), userfaultfd(2), kcmp(2), open_by_handle_at(2)",
		Barrier:  "seccomp",
		Rung:     spec.Hardened,
		Attack:   attack.RiskyCalls,
		Witness:  sentinel.RiskyRefused,
		Alone:    true, // a tracer waits on its own
		Refusal:  Refusals{sentinel.FilterMark: Seccomp},
		Controls: spec.Edits{spec.Unconfined()},
	}}
}
