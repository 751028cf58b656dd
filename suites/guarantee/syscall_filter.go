package guarantee

import (
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
	"cellwall/suites/attack"
	"cellwall/suites/sentinel"
)

func filterRows() []Guarantee {
	return []Guarantee{{
		ID:       "syscall.filter-active",
		Claim:    "runs every thread under a seccomp filter",
		Source:   "seccomp(2), proc_pid_status(5): Seccomp",
		Barrier:  "seccomp TSYNC",
		Rung:     spec.Hardened,
		Gates:    []*kernel.Feature{kernel.Seccomp},
		Attack:   attack.ManyThreads,
		Witness:  sentinel.AllFiltered,
		Controls: spec.Edits{spec.Unconfined()},
	}, {
		ID:      "syscall.filter-irrevocable",
		Claim:   "cannot remove or loosen its filter",
		Source:  "seccomp(2): \"the most restrictive action\"",
		Barrier: "seccomp precedence (strictest result)",
		Rung:    spec.Hardened,
		Gates:   []*kernel.Feature{kernel.Seccomp},
		Attack:  attack.LoosenFilter,
		Witness: sentinel.FilterKept,
		Refusal: Refusals{unix.EINVAL: Kernel, unix.EPERM: Seccomp},
		// Its own filter, the allowing one, is then the only one.
		Controls: spec.Edits{spec.Unconfined()},
	}, {
		ID:       "syscall.kill-action",
		Claim:    "is killed and reported on a kill rule",
		Source:   "seccomp(2): SECCOMP_RET_KILL_PROCESS",
		Barrier:  "seccomp RET_KILL_PROCESS",
		Rung:     spec.Hardened,
		Gates:    []*kernel.Feature{kernel.Seccomp},
		Attack:   attack.KillRule,
		Witness:  sentinel.KilledByRule,
		Controls: spec.Edits{sentinel.AnswerKillRule(specs.ActErrno)},
	}, {
		ID:      "syscall.i386-abi",
		Claim:   "cannot bypass its filter through the i386 ABI",
		Source:  "seccomp(2): \"it is strongly recommended to ... check arch\"",
		Barrier: "seccomp architecture check",
		Rung:    spec.Hardened,
		Gates:   []*kernel.Feature{kernel.I386},
		Attack:  attack.OtherABI,
		Witness: sentinel.UmaskKept,
		Controls: spec.Edits{spec.Change("the i386 architecture allowed", func(s *specs.Spec) {
			if f := s.Linux.Seccomp; f != nil {
				f.Architectures = append(f.Architectures, specs.ArchX86)
			}
		})},
	}, {
		ID:       "syscall.clone3",
		Claim:    "cannot hide namespace flags in clone3's structure",
		Source:   "clone(2); moby seccomp profile: clone3 ENOSYS",
		Barrier:  "seccomp clone3 rule",
		Rung:     spec.Hardened,
		Gates:    []*kernel.Feature{kernel.Clone3, kernel.UnprivilegedUserNamespace}, // the attacker has no CAP_SYS_ADMIN
		Attack:   attack.NewNamespaces,
		Witness:  sentinel.NamespacesKept,
		Refusal:  Refusals{unix.ENOSYS: Seccomp},
		Controls: spec.Edits{spec.Allowing("clone3")},
	}, {
		ID:       "syscall.io-uring",
		Claim:    "cannot bypass its filter through io_uring",
		Source:   "io_uring_enter(2); moby seccomp profile: io_uring",
		Barrier:  "seccomp (io_uring_setup)",
		Rung:     spec.Hardened,
		Gates:    []*kernel.Feature{kernel.IOUring},
		Attack:   attack.Ring,
		Witness:  sentinel.RingFile,
		Refusal:  Refusals{unix.EPERM: Seccomp},
		Controls: spec.Edits{spec.Allowing("io_uring_setup", "io_uring_enter", "io_uring_register")},
	}}
}
