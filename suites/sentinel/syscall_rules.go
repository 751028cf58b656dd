package sentinel

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/spec"
	"cellwall/suites/attack"
)

// ruleCase is a comparison, with values that it is for and values that it must leave to the default
// action.
type ruleCase struct {
	op       specs.LinuxSeccompOperator
	value    uint64
	valueTwo uint64
	wants    []uint64
	others   []uint64
}

const high = 1 << 32 // what a comparison of 32 bits does not see

// ruleCases holds every operator of the OCI runtime-spec on both sides of its border.
var ruleCases = []ruleCase{
	{op: specs.OpEqualTo, value: 7, wants: []uint64{7}, others: []uint64{6, 8, high | 7}},
	{op: specs.OpEqualTo, value: high | 7, wants: []uint64{high | 7}, others: []uint64{7, high | 6, 2*high | 7}},
	{op: specs.OpNotEqual, value: 7, wants: []uint64{6, 8, high | 7}, others: []uint64{7}},
	{op: specs.OpLessThan, value: 7, wants: []uint64{0, 6}, others: []uint64{7, 8, high | 6}},
	{op: specs.OpLessEqual, value: 7, wants: []uint64{6, 7}, others: []uint64{8, high | 7}},
	{op: specs.OpGreaterThan, value: 7, wants: []uint64{8, high}, others: []uint64{6, 7}},
	{op: specs.OpGreaterEqual, value: 7, wants: []uint64{7, 8, high}, others: []uint64{0, 6}},
	{op: specs.OpGreaterEqual, value: high, wants: []uint64{high, high | 1}, others: []uint64{7, high - 1}},
	{op: specs.OpMaskedEqual, value: 0xff00, valueTwo: 0x1200, wants: []uint64{0x1200, 0x1234, high | 0x1200}, others: []uint64{0x1300, 0x34, 0}},
}

// firstErrno is that of the first rule; the others count up from it. None of them is EPERM.
const firstErrno = 71

// ruleTry is a call of getppid(2), which takes no notice of its arguments, and the answer that is due.
type ruleTry struct {
	call attack.Call
	want unix.Errno
}

// ruleMatrix has a rule with an errno of its own for every case and each of the arguments 1 to 5, one
// that allows, and one that traps. Argument 0 sets them apart, by SCMP_CMP_EQ: of rules that overlap in
// their lowest argument libseccomp 2.5.4 takes the wrong one, and nothing specifies which is right
// (libseccomp PR 225).
func ruleMatrix() (rules []specs.LinuxSyscall, tries []ruleTry) {
	add := func(action specs.LinuxSeccompAction, errno *uint, answer unix.Errno, index uint, c ruleCase) {
		number := uint64(len(rules))
		rules = append(rules, specs.LinuxSyscall{
			Names: []string{"getppid"}, Action: action, ErrnoRet: errno,
			Args: []specs.LinuxSeccompArg{
				{Index: 0, Value: number, Op: specs.OpEqualTo},
				{Index: index, Value: c.value, ValueTwo: c.valueTwo, Op: c.op},
			},
		})
		try := func(v uint64, want unix.Errno) {
			call := attack.Call{Number: unix.SYS_GETPPID}
			call.Args[0], call.Args[index] = uintptr(number), uintptr(v)
			tries = append(tries, ruleTry{call: call, want: want})
		}
		for _, v := range c.wants {
			try(v, answer)
		}
		for _, v := range c.others {
			try(v, unix.EPERM)
		}
	}
	for index := uint(1); index <= 5; index++ {
		for _, c := range ruleCases {
			errno := uint(firstErrno + len(rules))
			add(specs.ActErrno, &errno, unix.Errno(errno), index, c)
		}
	}
	add(specs.ActAllow, nil, 0, 1, ruleCases[0])
	add(specs.ActTrap, nil, trapped, 1, ruleCases[0])
	// One that has no rule.
	call := attack.Call{Number: unix.SYS_GETPPID, Args: [6]uintptr{uintptr(len(rules))}}
	return rules, append(tries, ruleTry{call: call, want: unix.EPERM})
}

// RulesAnswered gives the filter the rules of ruleMatrix and sees whether each call gets its rule's answer,
// or the default one.
func RulesAnswered(s *Stage) (*Watch, error) {
	rules, tries := ruleMatrix()
	list := make([]attack.Call, len(tries))
	for i, t := range tries {
		list[i] = t.call
	}
	extra, err := json.Marshal(list)
	if err != nil {
		return nil, fmt.Errorf("write the list of calls: %w", err)
	}
	w := &Watch{
		Target: attack.Target{Extra: string(extra)},
		Edits: spec.Edits{spec.Allowing("getppid"), spec.Change("rules for getppid", func(sp *specs.Spec) {
			if f := sp.Linux.Seccomp; f != nil {
				f.Syscalls = append(f.Syscalls[:len(f.Syscalls)-1], rules...) // in the place of Allowing's
			}
		})},
	}
	return s.traced(w, func(calls []systemCall, _ attack.Record) (Finding, error) {
		var wrong []string
		next := 0
		for _, c := range calls {
			if next == len(tries) || c.number != unix.SYS_GETPPID || c.args != wide(tries[next].call.Args) {
				continue
			}
			if errno := c.errno(); errno != tries[next].want {
				wrong = append(wrong, fmt.Sprintf("%#x: %s, not %s", c.args, errnoText(errno), errnoText(tries[next].want)))
			}
			next++
		}
		if next < len(tries) {
			return Finding{}, fmt.Errorf("the attacker made %d of %d calls", next, len(tries))
		}
		if len(wrong) > 0 {
			return Finding{Breached: true, Evidence: fmt.Sprintf("%d of %d calls did not get their rule's answer: %.200s", len(wrong), len(tries), strings.Join(wrong, "; "))}, nil
		}
		return Finding{Evidence: fmt.Sprintf("a tracer on the host saw all %d calls get the answers of %d rules", len(tries), len(rules))}, nil
	}), nil
}
