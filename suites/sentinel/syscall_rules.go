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

// ruleCase is one rule for getppid(2), which takes no notice of its arguments, with values that it
// is for and values that it must leave to the default action. Argument 0 sets the rules apart.
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

// RulesAnswered gives the filter a rule with an errno of its own for every case and sees whether
// each call gets its rule's answer, or the default one.
func RulesAnswered(s *Stage) (*Watch, error) {
	var pairs [][2]uint64
	var want []unix.Errno
	var rules []specs.LinuxSyscall
	for i, c := range ruleCases {
		errno := uint(firstErrno + i)
		rules = append(rules, specs.LinuxSyscall{
			Names: []string{"getppid"}, Action: specs.ActErrno, ErrnoRet: &errno,
			Args: []specs.LinuxSeccompArg{
				{Index: 0, Value: uint64(i), Op: specs.OpEqualTo},
				{Index: 1, Value: c.value, ValueTwo: c.valueTwo, Op: c.op},
			},
		})
		for _, v := range c.wants {
			pairs, want = append(pairs, [2]uint64{uint64(i), v}), append(want, unix.Errno(errno))
		}
		for _, v := range c.others {
			pairs, want = append(pairs, [2]uint64{uint64(i), v}), append(want, unix.EPERM)
		}
	}
	// One that the rules allow, and one next to it.
	allowed := uint64(len(ruleCases))
	rules = append(rules, specs.LinuxSyscall{
		Names: []string{"getppid"}, Action: specs.ActAllow,
		Args: []specs.LinuxSeccompArg{{Index: 0, Value: allowed, Op: specs.OpEqualTo}},
	})
	pairs, want = append(pairs, [2]uint64{allowed, 0}, [2]uint64{allowed + 1, 0}), append(want, 0, unix.EPERM)
	extra, err := json.Marshal(pairs)
	if err != nil {
		return nil, fmt.Errorf("write the matrix: %w", err)
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
			if c.number != unix.SYS_GETPPID || next == len(pairs) || c.args[0] != pairs[next][0] || c.args[1] != pairs[next][1] {
				continue
			}
			if errno := c.errno(); errno != want[next] {
				wrong = append(wrong, fmt.Sprintf("(%d, %#x): %s, not %s", c.args[0], c.args[1], errnoText(errno), errnoText(want[next])))
			}
			next++
		}
		if next < len(pairs) {
			return Finding{}, fmt.Errorf("the attacker made %d of %d calls", next, len(pairs))
		}
		if len(wrong) > 0 {
			return Finding{Breached: true, Evidence: fmt.Sprintf("%d of %d calls did not get their rule's answer: %.200s", len(wrong), len(pairs), strings.Join(wrong, "; "))}, nil
		}
		return Finding{Evidence: fmt.Sprintf("a tracer on the host saw all %d calls get the answers of %d rules", len(pairs), len(rules))}, nil
	}), nil
}
