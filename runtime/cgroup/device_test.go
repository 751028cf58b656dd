package cgroup

import (
	"errors"
	"fmt"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
)

// allowed is what the rules mean, written the slow way: each right is decided by the last rule
// that speaks of it, and without one it is denied.
func allowed(rules []DeviceRule, kind string, major, minor int64, asks access) bool {
	for bit := mknod; bit <= write; bit <<= 1 {
		if asks&bit == 0 {
			continue
		}
		ok := false
		for _, r := range rules {
			if (r.Type == "" || r.Type == "a" || r.Type == kind) && (r.Major == nil || *r.Major == -1 || *r.Major == major) &&
				(r.Minor == nil || *r.Minor == -1 || *r.Minor == minor) && r.access()&bit != 0 {
				ok = r.Allow
			}
		}
		if !ok {
			return false
		}
	}
	return true
}

// interpret runs a device program as the kernel would.
func interpret(p asm.Instructions, kind string, major, minor int64, asks access) (bool, error) {
	labels := map[string]int{}
	for i, ins := range p {
		if s := ins.Symbol(); s != "" {
			labels[s] = i
		}
	}
	var r [11]uint64
	ctx := map[int16]uint64{0: uint64(asks)<<16 | map[string]uint64{"b": 1, "c": 2}[kind], 4: uint64(major), 8: uint64(minor)}
	for pc, steps := 0, 0; pc < len(p) && steps < 10000; steps++ {
		ins := p[pc]
		pc++
		value := uint64(ins.Constant)
		if ins.OpCode.Source() == asm.RegSource {
			value = r[ins.Src]
		}
		jump := false
		switch op := ins.OpCode; {
		case op.Class() == asm.LdXClass:
			r[ins.Dst] = ctx[ins.Offset]
		case op.JumpOp() == asm.Exit:
			return r[0] != 0, nil
		case op.JumpOp() == asm.JNE:
			jump = r[ins.Dst] != value
		case op.JumpOp() == asm.JEq:
			jump = r[ins.Dst] == value
		case op.ALUOp() == asm.Mov:
			r[ins.Dst] = value
		case op.ALUOp() == asm.And:
			r[ins.Dst] &= value
		case op.ALUOp() == asm.RSh:
			r[ins.Dst] >>= value
		default:
			return false, fmt.Errorf("instruction %v", ins)
		}
		if jump {
			to, ok := labels[ins.Reference()]
			if !ok {
				return false, fmt.Errorf("no label %q", ins.Reference())
			}
			pc = to
		}
	}
	return false, errors.New("ran off the end")
}

// v1Allows does what the kernel's devcgroup_check_permission does with a default and exceptions.
func v1Allows(allowAll bool, exceptions []DeviceRule, kind string, major, minor int64, asks access) bool {
	d := DeviceRule{Type: kind, Major: &major, Minor: &minor}
	for _, e := range exceptions {
		switch {
		case !allowAll && e.covers(d) && asks&^e.access() == 0:
			return true // match_exception
		case allowAll && e.covers(d) && asks&e.access() != 0:
			return false // match_exception_partial
		}
	}
	return allowAll
}

// everyAccess calls f for the devices and accesses that the rules of these tests tell apart.
func everyAccess(f func(kind string, major, minor int64, asks access)) {
	for _, kind := range []string{"b", "c"} {
		for major := range int64(3) {
			for minor := range int64(3) {
				for asks := mknod; asks <= anyAccess; asks++ {
					f(kind, major, minor, asks)
				}
			}
		}
	}
}

// ruleFrom makes a rule of a number.
func ruleFrom(n uint16) DeviceRule {
	pick := func(of uint16) uint16 { v := n % of; n /= of; return v }
	r := DeviceRule{Allow: pick(2) == 1, Type: []string{"a", "b", "c", ""}[pick(4)]}
	if v := pick(3); v > 0 {
		r.Major = new(int64(v))
	}
	if v := pick(3); v > 0 {
		r.Minor = new(int64(v))
	}
	r.Access = access(pick(8)).String()
	return r
}

func FuzzDevices(f *testing.F) {
	f.Add([]byte{0, 0, 1, 2, 3, 4})
	f.Add([]byte{1, 0, 0, 17, 0, 200, 1, 44})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		var rules []DeviceRule
		for ; len(b) > 1 && len(rules) < 12; b = b[2:] {
			rules = append(rules, ruleFrom(uint16(b[0])<<8|uint16(b[1])))
		}
		checkRules(t, rules)
	})
}

func checkRules(t *testing.T, rules []DeviceRule) {
	t.Helper()
	p := deviceProgram(rules)
	allowAll, exceptions, err := devicesV1(rules)
	if err != nil && !errors.Is(err, kernel.ErrNotSupported) {
		t.Fatal(err)
	}
	everyAccess(func(kind string, major, minor int64, asks access) {
		want := allowed(rules, kind, major, minor, asks)
		got, errP := interpret(p, kind, major, minor, asks)
		if errP != nil || got != want {
			t.Errorf("%v: program on %s %d:%d %v: %v, %v, want %v", rules, kind, major, minor, asks, got, errP, want)
		}
		// v1 decides an access as a whole by one exception, so what two rules allow together
		// it denies; it must never allow more.
		if got := v1Allows(allowAll, exceptions, kind, major, minor, asks); err == nil && got && !want {
			t.Errorf("%v: v1 allows %s %d:%d %v", rules, kind, major, minor, asks)
		}
		if one := asks&(asks-1) == 0; err == nil && one && v1Allows(allowAll, exceptions, kind, major, minor, asks) != want {
			t.Errorf("%v: v1 on %s %d:%d %v is not %v", rules, kind, major, minor, asks, want)
		}
	})
}

func TestDeviceRules(t *testing.T) {
	one, two := new(int64(1)), new(int64(2))
	for name, tt := range map[string]struct {
		rules  []DeviceRule
		v1     string
		lackV1 bool
	}{
		"nothing":                     {rules: []DeviceRule{{Type: "a"}}, v1: "false []"},
		"everything":                  {rules: []DeviceRule{{Allow: true}}, v1: "true []"},
		"one":                         {rules: []DeviceRule{{Type: "a"}, {Allow: true, Type: "c", Major: one}}, v1: "false [allow c 1:* mrw]"},
		"all but one":                 {rules: []DeviceRule{{Allow: true}, {Type: "b", Major: one, Minor: two, Access: "w"}}, v1: "true [deny b 1:2 w]"},
		"taken back":                  {rules: []DeviceRule{{Allow: true, Type: "c", Major: one, Access: "rw"}, {Type: "c", Access: "w"}}, v1: "false [allow c 1:* r]"},
		"part taken back":             {rules: []DeviceRule{{Allow: true, Type: "c", Major: one}, {Type: "c", Major: one, Minor: two}}, lackV1: true},
		"the last word for all":       {rules: []DeviceRule{{Allow: true, Type: "c", Major: one}, {Type: "a"}}, v1: "false []"},
		"both kinds":                  {rules: []DeviceRule{{Allow: true, Type: "a", Access: "m"}}, v1: "false [allow b *:* m allow c *:* m]"},
		"-1 is any, as runc's own -1": {rules: []DeviceRule{{Allow: true, Type: "c", Major: new(int64(-1)), Minor: one}}, v1: "false [allow c *:1 mrw]"},
	} {
		checkRules(t, tt.rules)
		allowAll, exceptions, err := devicesV1(tt.rules)
		if tt.lackV1 {
			if !errors.Is(err, kernel.ErrNotSupported) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if got := fmt.Sprint(allowAll, " ", exceptions); got != tt.v1 || err != nil {
			t.Errorf("%s: %s, %v, want %s", name, got, err, tt.v1)
		}
	}
}

func TestLacksDevicePrograms(t *testing.T) {
	for err, lacks := range map[error]bool{
		unix.EPERM:  true, // no capability
		unix.EINVAL: true, // no program of that type
		unix.ENOSYS: true, // no bpf(2)
		unix.ENOMEM: false,
	} {
		got := lacksDevicePrograms(fmt.Errorf("load device program: %w", &ebpf.VerifierError{Cause: err}))
		if !errors.Is(got, err) || errors.Is(got, kernel.ErrNotSupported) != lacks {
			t.Errorf("%v: %v", err, got)
		}
	}
}
