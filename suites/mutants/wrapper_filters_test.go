package mutants_test

import (
	"slices"

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
		}), rows: []string{"syscall.rule-matrix", "syscall.risky-calls"}},
		{name: "a filter that logs where a rule has an errno", do: eachRule(func(r *specs.LinuxSyscall) {
			if r.Action == specs.ActErrno {
				r.Action, r.ErrnoRet = specs.ActLog, nil
			}
		}), rows: []string{"syscall.rule-matrix", "syscall.clone3"}},
		{name: "a filter that compares no fourth argument", do: eachRule(func(r *specs.LinuxSyscall) {
			r.Args = slices.DeleteFunc(r.Args, func(c specs.LinuxSeccompArg) bool { return c.Index == 3 })
		}), rows: []string{"syscall.rule-matrix"}},
		{name: "a filter that allows clone whatever its flags", do: eachRule(func(r *specs.LinuxSyscall) {
			if slices.Contains(r.Names, "clone") {
				r.Args = nil
			}
		}), rows: []string{"syscall.risky-calls"}},
		{name: "a filter that allows fifty calls more", do: edited(spec.Allowing(fiftyCalls...).Apply), rows: []string{"syscall.risky-calls"}},
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
	for _, call := range []string{"keyctl", "userfaultfd", "personality", "kcmp", "bpf", "io_uring_setup", "open_tree"} {
		all = append(all, allowing([]string{"syscall.risky-calls"}, call))
	}
	return all
}

// eachRule is a wrapper that changes the rules of a filter.
func eachRule(change func(*specs.LinuxSyscall)) wrapper {
	return edited(func(s *specs.Spec) {
		if f := s.Linux.Seccomp; f != nil {
			for i := range f.Syscalls {
				change(&f.Syscalls[i])
			}
		}
	})
}

// fiftyCalls are what moby's profile allows to capabilities that a container has not, or to nobody.
var fiftyCalls = []string{
	"_sysctl", "acct", "bpf", "chroot", "clock_settime", "create_module", "delete_module", "fanotify_init", "finit_module",
	"fsconfig", "fsmount", "fsopen", "fspick", "get_mempolicy", "init_module", "ioperm", "iopl", "kcmp", "kexec_file_load",
	"kexec_load", "lookup_dcookie", "mbind", "migrate_pages", "mount", "mount_setattr", "move_mount", "nfsservctl",
	"open_by_handle_at", "open_tree", "perf_event_open", "pidfd_getfd", "pivot_root", "process_madvise", "query_module", "quotactl",
	"quotactl_fd", "reboot", "request_key", "set_mempolicy", "setdomainname", "sethostname", "setns", "settimeofday", "swapoff", "swapon", "sysfs",
	"syslog", "umount2", "uselib", "vhangup",
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
