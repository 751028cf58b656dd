package driver

import (
	"cmp"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
)

// lxcABIs are the architectures that a filter of LXC's is for whatever it says: parse_config_v2 in seccomp.c.
func lxcABIs() []specs.Arch {
	if runtime.GOARCH == "arm64" {
		return []specs.Arch{specs.ArchAARCH64, specs.ArchARM}
	}
	return []specs.Arch{specs.ArchX86_64, specs.ArchX86, specs.ArchX32}
}

// multiplexed are the calls whose arguments a rule of LXC's cannot compare on amd64: on i386 they are socketcall(2)
// and ipc(2) as well, and libseccomp refuses exact rules with arguments for those (arch-x86.c, x86_rule_add).
var multiplexed = []string{
	"socket", "bind", "connect", "listen", "accept", "getsockname", "getpeername", "socketpair", "send", "recv", "sendto",
	"recvfrom", "shutdown", "setsockopt", "getsockopt", "sendmsg", "recvmsg", "accept4", "recvmmsg", "sendmmsg",
	"semop", "semget", "semctl", "semtimedop", "msgsnd", "msgrcv", "msgget", "msgctl", "shmat", "shmdt", "shmget", "shmctl",
}

// undivided reports whether a rule is one that LXC cannot load.
func undivided(name string, args []specs.LinuxSeccompArg) bool {
	return runtime.GOARCH == "amd64" && len(args) > 0 && slices.Contains(multiplexed, name)
}

// lxcFilter makes the filter of a spec one that LXC can load: for all ABIs, and without the arguments of the calls
// that it cannot compare. Those calls are allowed whatever their arguments.
func lxcFilter(s *specs.Spec) {
	f := s.Linux.Seccomp
	if f == nil {
		return
	}
	f.Architectures = lxcABIs()
	var rules, whole []specs.LinuxSyscall
	for _, r := range f.Syscalls {
		kept := slices.DeleteFunc(slices.Clone(r.Names), func(n string) bool { return undivided(n, r.Args) })
		for _, name := range r.Names {
			if undivided(name, r.Args) && !slices.ContainsFunc(whole, func(w specs.LinuxSyscall) bool { return w.Names[0] == name }) {
				whole = append(whole, specs.LinuxSyscall{Names: []string{name}, Action: specs.ActAllow})
			}
		}
		if r.Names = kept; len(kept) > 0 {
			rules = append(rules, r)
		}
	}
	f.Syscalls = append(rules, whole...)
}

// lxcProfile is a filter as a file of lxc.seccomp.profile, version 2: a line for each call.
func lxcProfile(f *specs.LinuxSeccomp) (string, error) {
	if f == nil {
		return "", nil
	}
	sorted := func(list []specs.Arch) []specs.Arch { return slices.Compact(slices.Sorted(slices.Values(list))) }
	if !slices.Equal(sorted(f.Architectures), sorted(lxcABIs())) {
		return "", kernel.Unsupported("lxc-execute loads filters for %v alone", lxcABIs())
	}
	if len(f.Flags) > 0 || f.ListenerPath != "" {
		return "", kernel.Unsupported("lxc-execute sets no flags or listener of a seccomp filter")
	}
	rest, err := lxcAction(f.DefaultAction, f.DefaultErrnoRet)
	if err != nil {
		return "", err
	}
	policy := "allowlist"
	if f.DefaultAction == specs.ActAllow {
		policy = "denylist"
	}
	lines := []string{"2", policy + " " + rest, "[all]"}
	for _, r := range f.Syscalls {
		action, err := lxcAction(r.Action, r.ErrnoRet)
		if err != nil {
			return "", err
		}
		if action == rest { // libseccomp refuses a rule that changes nothing
			continue
		}
		args, err := lxcArgs(r.Args)
		if err != nil {
			return "", err
		}
		for _, name := range r.Names {
			if undivided(name, r.Args) {
				return "", kernel.Unsupported("lxc-execute compares no arguments of %s, which i386 multiplexes", name)
			}
			if line := name + " " + action + args; !slices.Contains(lines, line) {
				lines = append(lines, line)
			}
		}
	}
	return strings.Join(lines, "\n") + "\n", nil
}

// lxcAction is an action in LXC's words: get_v2_default_action in seccomp.c.
func lxcAction(a specs.LinuxSeccompAction, errno *uint) (string, error) {
	switch a {
	case specs.ActAllow:
		return "allow", nil
	case specs.ActErrno:
		n := uint(unix.EPERM) // OCI runtime-spec, config-linux.md: errnoRet
		if errno != nil {
			n = *errno
		}
		return fmt.Sprintf("errno %d", n), nil
	case specs.ActKill, specs.ActKillThread:
		return "kill", nil
	case specs.ActTrap:
		return "trap", nil
	}
	return "", kernel.Unsupported("lxc-execute has no seccomp action %s", cmp.Or(a, "of no name"))
}

// lxcArgs are the conditions of a rule, [index,value,operator,mask]: get_seccomp_arg_value in seccomp.c.
func lxcArgs(args []specs.LinuxSeccompArg) (string, error) {
	var b strings.Builder
	seen := map[uint]bool{}
	for _, a := range args {
		if seen[a.Index] {
			return "", kernel.Unsupported("lxc-execute compares an argument of a system call once in a rule")
		}
		seen[a.Index] = true
		if b.Len() == 0 {
			b.WriteByte(' ')
		}
		if a.Op == specs.OpMaskedEqual {
			fmt.Fprintf(&b, "[%d,%d,%s,%d]", a.Index, a.ValueTwo, a.Op, a.Value)
		} else {
			fmt.Fprintf(&b, "[%d,%d,%s]", a.Index, a.Value, a.Op)
		}
	}
	return b.String(), nil
}
