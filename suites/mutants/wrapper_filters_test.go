package mutants_test

import (
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/spec"
)

// allowing is a weakness of a filter that lets calls pass, and the rows that must see it.
func allowing(rows []string, calls ...string) weakness {
	e := spec.Allowing(calls...)
	return weakness{name: e.Name, do: edited(e.Apply), rows: rows}
}

// filterWeaknesses are seccomp filters that are missing or say too little.
func filterWeaknesses() []weakness {
	all := []weakness{
		{name: "no seccomp filter", do: edited(spec.Unconfined().Apply), rows: []string{
			"syscall.filter-active", "syscall.filter-irrevocable", "syscall.rule-matrix", "syscall.risky-calls",
			"syscall.kill-action", "user.nested-userns",
		}},
		{name: "a filter that allows what it does not name", do: edited(func(s *specs.Spec) {
			if s.Linux.Seccomp != nil {
				s.Linux.Seccomp.DefaultAction, s.Linux.Seccomp.DefaultErrnoRet = specs.ActAllow, nil
			}
		}), rows: []string{"syscall.risky-calls"}},
		{name: "a filter that logs in place of refusing", do: edited(func(s *specs.Spec) {
			if s.Linux.Seccomp != nil {
				s.Linux.Seccomp.DefaultAction, s.Linux.Seccomp.DefaultErrnoRet = specs.ActLog, nil
			}
		}), rows: []string{"syscall.rule-matrix"}},
		{name: "a filter that refuses in place of killing", do: edited(func(s *specs.Spec) {
			if f := s.Linux.Seccomp; f != nil {
				for i := range f.Syscalls {
					if f.Syscalls[i].Action == specs.ActKillProcess {
						f.Syscalls[i].Action = specs.ActErrno
					}
				}
			}
		}), rows: []string{"syscall.kill-action"}},
		{name: "a filter for i386 as well", do: edited(func(s *specs.Spec) {
			if s.Linux.Seccomp != nil {
				s.Linux.Seccomp.Architectures = append(s.Linux.Seccomp.Architectures, specs.ArchX86)
			}
		}), rows: []string{"syscall.i386-abi"}},
		{name: "a filter that allows sockets of all families but one", do: edited(func(s *specs.Spec) {
			allowUnless(s, "socket", 0, unix.AF_ALG)
		}), rows: []string{"net.vsock"}},
		{name: "a filter that allows requests to terminals but one", do: edited(func(s *specs.Spec) {
			allowUnless(s, "ioctl", 1, unix.TIOCSTI)
		}), rows: []string{"syscall.args-64bit"}},
		allowing([]string{"syscall.io-uring"}, "io_uring_setup", "io_uring_enter", "io_uring_register"),
		allowing([]string{"syscall.clone3"}, "clone3"),
		allowing([]string{"user.nested-userns"}, "clone"),
		allowing([]string{"user.nested-userns"}, "unshare"),
		allowing([]string{"device.terminal-injection"}, "ioctl"),
		allowing([]string{"net.vsock"}, "socket"),
	}
	for _, call := range []string{"keyctl", "userfaultfd", "personality", "kcmp"} {
		all = append(all, allowing([]string{"syscall.risky-calls"}, call))
	}
	return all
}

// allowUnless lets a call pass where an argument is not a value.
func allowUnless(s *specs.Spec, name string, argument uint, value uint64) {
	if s.Linux.Seccomp != nil {
		s.Linux.Seccomp.Syscalls = append(s.Linux.Seccomp.Syscalls, specs.LinuxSyscall{
			Names: []string{name}, Action: specs.ActAllow,
			Args: []specs.LinuxSeccompArg{{Index: argument, Value: value, Op: specs.OpNotEqual}},
		})
	}
}
