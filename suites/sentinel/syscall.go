package sentinel

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
	"cellwall/runtime/seccomp"
	"cellwall/runtime/spec"
	"cellwall/suites/attack"
)

// refusedBy says that every one of the listed calls was made and got an errno of the wall.
func refusedBy(list []attack.Call, calls []systemCall, wall unix.Errno) (Finding, error) {
	var passed []string
	var parts []part
	for _, want := range list {
		made, through := false, false
		for _, c := range calls {
			if c.number != uint64(want.Number) || !sameArguments(want.Number, c.args, want.Args) {
				continue
			}
			made = true
			if errno := c.errno(); errno != wall {
				through = true
				passed = append(passed, fmt.Sprintf("%s: %s", want.Name, errnoText(errno)))
			}
		}
		if !made {
			return Finding{}, fmt.Errorf("the attacker did not get to %s", want.Name)
		}
		parts = append(parts, part{want.Name, through})
	}
	f := Finding{Evidence: fmt.Sprintf("a tracer on the host saw %s for each of %d calls", errnoText(wall), len(list))}
	if len(passed) > 0 {
		f.Evidence = fmt.Sprintf("a tracer on the host saw %d of %d calls pass the wall: %.200s", len(passed), len(list), strings.Join(passed, ", "))
	}
	return f.of(parts...), nil
}

// sameArguments compares the arguments that are no addresses: those of the attacker's memory and
// its pid are its own. Marked calls have neither.
func sameArguments(number uintptr, is [6]uint64, want [6]uintptr) bool {
	if is[5] == attack.Marked || want[5] == attack.Marked {
		return is == wide(want)
	}
	switch number {
	case unix.SYS_IOCTL:
		return is[1] == uint64(want[1])
	case unix.SYS_SOCKET, unix.SYS_PERSONALITY, unix.SYS_USERFAULTFD:
		return is[0] == uint64(want[0])
	}
	return true
}

// wide are arguments as a tracer sees them.
func wide(args [6]uintptr) (out [6]uint64) {
	for i, a := range args {
		out[i] = uint64(a)
	}
	return out
}

func errnoText(e unix.Errno) string {
	switch e {
	case 0:
		return "success"
	case trapped:
		return "SIGSYS"
	}
	return unix.ErrnoName(e)
}

// RiskyRefused sees what became of attack.RiskyCalls: of those that it knows, and of all that the profile
// of the hardened rung refuses.
func RiskyRefused(s *Stage) (*Watch, error) {
	numbers, err := seccomp.Numbers()
	if errors.Is(err, seccomp.ErrNotSupported) {
		return nil, kernel.Unsupported("list system calls: %v", err)
	}
	if err != nil {
		return nil, err
	}
	// None of the capabilities at that rung opens a call.
	refused := refusals(spec.New(spec.Hardened, spec.Options{}).Linux.Seccomp, numbers)
	extra, err := json.Marshal(refused)
	if err != nil {
		return nil, fmt.Errorf("write the list of calls: %w", err)
	}
	w := &Watch{Edits: marked(), Target: attack.Target{Extra: string(extra)}}
	return s.traced(w, func(calls []systemCall, _ attack.Record) (Finding, error) {
		return refusedBy(append(attack.Risky(), refused...), calls, FilterMark)
	}), nil
}

// FilterMark is what a filter answers whose refusals must be told from those of a capability or of the
// kernel: no call that is attacked gives it by itself.
const FilterMark = unix.ENOTUNIQ

// marked has the filter refuse by FilterMark, where a rule has an errno of its own too.
func marked() spec.Edits {
	return spec.Edits{spec.Change("a filter whose refusals are marked", func(sp *specs.Spec) {
		f := sp.Linux.Seccomp
		if f == nil {
			return
		}
		errno := uint(FilterMark)
		f.DefaultErrnoRet = &errno
		for i := range f.Syscalls {
			if f.Syscalls[i].Action == specs.ActErrno {
				f.Syscalls[i].ErrnoRet = &errno
			}
		}
	})}
}

// HiddenRefused sees what became of attack.HiddenArguments.
func HiddenRefused(s *Stage) (*Watch, error) {
	return s.traced(&Watch{Edits: marked()}, func(calls []systemCall, _ attack.Record) (Finding, error) {
		return refusedBy(attack.Hidden(), calls, FilterMark)
	}), nil
}

// newerCalls are the calls above those of Linux 6.15, by which the profile of UnknownAnswered
// ends. The last is one more than attack.UnknownNumber.
var newerCalls = []string{"file_getattr", "file_setattr", "listns", "rseq_slice_yield"}

// UnknownAnswered sees what a call above the newest of the profile got.
func UnknownAnswered(s *Stage) (*Watch, error) {
	w := &Watch{Edits: spec.Edits{spec.Change("a profile without the calls after Linux 6.15", func(sp *specs.Spec) {
		if sp.Linux.Seccomp == nil {
			return
		}
		for i := range sp.Linux.Seccomp.Syscalls {
			rule := &sp.Linux.Seccomp.Syscalls[i]
			rule.Names = slices.DeleteFunc(rule.Names, func(n string) bool { return slices.Contains(newerCalls, n) })
		}
		sp.Linux.Seccomp.Syscalls = slices.DeleteFunc(sp.Linux.Seccomp.Syscalls, func(r specs.LinuxSyscall) bool { return len(r.Names) == 0 })
	})}}
	return s.traced(w, func(calls []systemCall, _ attack.Record) (Finding, error) {
		return refusedBy([]attack.Call{{Name: fmt.Sprintf("system call %d", attack.UnknownNumber), Number: attack.UnknownNumber}}, calls, unix.ENOSYS)
	}), nil
}
