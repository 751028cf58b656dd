package seccomp

import (
	"errors"
	"fmt"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// profile is a linux.seccomp section, checked.
type profile struct {
	fallback uint32 // SECCOMP_RET_* of the default action
	stub     bool   // numbers newer than the profile get ENOSYS
	flags    uint
	rules    []rule
}

// rule is one entry of linux.seccomp.syscalls.
type rule struct {
	names []string
	ret   uint32 // SECCOMP_RET_*
	args  []specs.LinuxSeccompArg
}

// maxErrno is MAX_ERRNO of linux/err.h: the kernel silently lowers higher ones to it.
const maxErrno = 4095

func parse(s *specs.LinuxSeccomp) (profile, error) {
	if s == nil {
		return profile{}, errors.New("compile seccomp profile: no profile")
	}
	if s.ListenerPath != "" {
		return profile{}, fmt.Errorf("compile seccomp profile: listenerPath: %w", ErrNotSupported)
	}
	var p profile
	for _, f := range s.Flags {
		switch f {
		case "SECCOMP_FILTER_FLAG_TSYNC": // runc and crun take it, specs-go has no name for it
			p.flags |= unix.SECCOMP_FILTER_FLAG_TSYNC
		case specs.LinuxSeccompFlagLog:
			p.flags |= unix.SECCOMP_FILTER_FLAG_LOG
		case specs.LinuxSeccompFlagSpecAllow:
			p.flags |= unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW
		case specs.LinuxSeccompFlagWaitKillableRecv:
			// Without a listener the kernel answers EINVAL.
			return profile{}, fmt.Errorf("compile seccomp profile: flag %s: %w", f, ErrNotSupported)
		default:
			return profile{}, fmt.Errorf("compile seccomp profile: unknown flag %q", f)
		}
	}
	var err error
	if p.fallback, err = retOf(s.DefaultAction, s.DefaultErrnoRet); err != nil {
		return profile{}, fmt.Errorf("compile seccomp profile: default action: %w", err)
	}
	// A tracer is expected to know new calls by itself, as in runc.
	p.stub = !slices.Contains([]specs.LinuxSeccompAction{specs.ActAllow, specs.ActLog, specs.ActTrace}, s.DefaultAction)
	for i, call := range s.Syscalls {
		r, err := parseRule(call)
		if err != nil {
			return profile{}, fmt.Errorf("compile seccomp profile: rule %d %q: %w", i, call.Names, err)
		}
		p.rules = append(p.rules, r)
	}
	return p, nil
}

func parseRule(call specs.LinuxSyscall) (rule, error) {
	if len(call.Names) == 0 {
		return rule{}, errors.New("no system call named")
	}
	ret, err := retOf(call.Action, call.ErrnoRet)
	if err != nil {
		return rule{}, err
	}
	var seen [6]bool
	for _, a := range call.Args {
		switch {
		case a.Index >= uint(len(seen)):
			return rule{}, fmt.Errorf("argument %d: a system call has arguments 0 to 5", a.Index)
		case seen[a.Index]:
			return rule{}, fmt.Errorf("argument %d compared twice: write two rules (or) or one SCMP_CMP_MASKED_EQ", a.Index)
		case !slices.Contains(operators, a.Op):
			return rule{}, fmt.Errorf("argument %d: unknown operator %q: want a name such as SCMP_CMP_EQ", a.Index, a.Op)
		}
		seen[a.Index] = true
	}
	return rule{names: call.Names, ret: ret, args: call.Args}, nil
}

// retOf returns what a filter returns for an action. errno is nil for EPERM.
func retOf(action specs.LinuxSeccompAction, errno *uint) (uint32, error) {
	var ret uint32
	var limit uint // 0: the action has no data
	switch action {
	case specs.ActAllow:
		ret = unix.SECCOMP_RET_ALLOW
	case specs.ActLog:
		ret = unix.SECCOMP_RET_LOG
	case specs.ActTrap:
		ret = unix.SECCOMP_RET_TRAP
	case specs.ActKill, specs.ActKillThread: // libseccomp: the same
		ret = unix.SECCOMP_RET_KILL_THREAD
	case specs.ActKillProcess:
		ret = unix.SECCOMP_RET_KILL_PROCESS
	case specs.ActErrno:
		ret, limit = unix.SECCOMP_RET_ERRNO, maxErrno
	case specs.ActTrace:
		ret, limit = unix.SECCOMP_RET_TRACE, unix.SECCOMP_RET_DATA
	case specs.ActNotify:
		return 0, fmt.Errorf("action %s: %w", action, ErrNotSupported)
	default:
		return 0, fmt.Errorf("unknown action %q: want a name such as SCMP_ACT_ERRNO", action)
	}
	switch {
	case errno == nil && limit == 0:
		return ret, nil
	case errno == nil:
		return ret | uint32(unix.EPERM), nil
	case limit == 0:
		// config-linux.md: "the runtime MUST print an error".
		return 0, fmt.Errorf("action %s has no errno, but errnoRet is %d", action, *errno)
	case *errno > limit:
		return 0, fmt.Errorf("action %s: errnoRet %d is above %d", action, *errno, limit)
	}
	return ret | uint32(*errno), nil
}

// unknown returns the names that none of the ABIs knows.
func (p profile) unknown(abis []abi) []string {
	var out []string
	for _, r := range p.rules {
		for _, name := range r.names {
			if !slices.ContainsFunc(abis, func(a abi) bool { _, ok := a.number(name); return ok }) {
				out = append(out, name)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
