package sentinel

import (
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/seccomp"
	"cellwall/runtime/spec"
	"cellwall/suites/attack"
)

// TestRefusals: what a profile refuses is in the list, and nothing else.
func TestRefusals(t *testing.T) {
	allow := func(name string, args ...specs.LinuxSeccompArg) specs.LinuxSyscall {
		return specs.LinuxSyscall{Names: []string{name}, Action: specs.ActAllow, Args: args}
	}
	f := &specs.LinuxSeccomp{
		DefaultAction: specs.ActErrno,
		Syscalls: []specs.LinuxSyscall{
			allow("read"),
			allow("clone", specs.LinuxSeccompArg{Index: 0, Op: specs.OpMaskedEqual, Value: 0x30000000}),
			allow("personality", specs.LinuxSeccompArg{Index: 0, Op: specs.OpEqualTo, Value: 8}),
			allow("personality", specs.LinuxSeccompArg{Index: 0, Op: specs.OpEqualTo, Value: 9}),
			{Names: []string{"clone3"}, Action: specs.ActErrno},
		},
	}
	numbers := map[string]uint32{"read": 0, "clone": 56, "personality": 135, "bpf": 321, "clone3": 435, "cachestat": lastCall + 1}
	want := []attack.Call{
		{Number: 321},
		{Number: 56, Args: [6]uintptr{0x10000000}},
		{Number: 56, Args: [6]uintptr{0x20000000}},
		{Number: 435},
		{Number: 135},
		{Number: 135, Args: [6]uintptr{high | 8}},
		{Number: 135, Args: [6]uintptr{high | 9}},
	}
	got := refusals(f, numbers)
	for i := range got {
		if got[i].Name == "" || got[i].Args[5] != attack.Marked {
			t.Errorf("%+v has no name, or is not marked", got[i])
		}
		got[i].Name, got[i].Args[5] = "", 0
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

// TestRefusalsOfTheHardenedRung: the dangerous calls are among them.
func TestRefusalsOfTheHardenedRung(t *testing.T) {
	numbers, err := seccomp.Numbers()
	if err != nil {
		t.Skip(err)
	}
	var text strings.Builder
	for _, c := range refusals(spec.New(spec.Hardened, spec.Options{}).Linux.Seccomp, numbers) {
		text.WriteString(c.Name + "\n")
	}
	for _, name := range []string{
		"bpf[", "mount[", "setns[", "pidfd_getfd[", "kexec_load[", "init_module[", "open_tree[", "fsopen[", "perf_event_open[", "kcmp[",
		"reboot[", "clone3[", "clone[0x10000000 ", "clone[0x20000 ", "socket[0x0 ", "unshare[", "io_uring_setup[",
	} {
		if !strings.Contains(text.String(), name) {
			t.Errorf("no %s...] in\n%s", name, text.String())
		}
	}
}

// TestMatches tries every operator on the values of ruleCases, which lie on both sides of its border.
func TestMatches(t *testing.T) {
	for _, c := range ruleCases {
		arg := specs.LinuxSeccompArg{Op: c.op, Value: c.value, ValueTwo: c.valueTwo}
		for _, v := range c.wants {
			if !matches(arg, v) {
				t.Errorf("%+v is not for %#x", arg, v)
			}
		}
		for _, v := range c.others {
			if matches(arg, v) {
				t.Errorf("%+v is for %#x", arg, v)
			}
		}
	}
}
