package driver

import (
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
)

func lxcSeccomp(calls ...specs.LinuxSyscall) *specs.LinuxSeccomp {
	return &specs.LinuxSeccomp{DefaultAction: specs.ActErrno, DefaultErrnoRet: new(uint(38)), Architectures: lxcABIs(), Syscalls: calls}
}

func TestLXCProfile(t *testing.T) {
	equal := specs.LinuxSeccompArg{Index: 1, Op: specs.OpEqualTo, Value: 9}
	masked := specs.LinuxSeccompArg{Index: 0, Op: specs.OpMaskedEqual, Value: 0x7e020000, ValueTwo: 5}
	got, err := lxcProfile(lxcSeccomp(
		specs.LinuxSyscall{Names: []string{"read", "write", "read"}, Action: specs.ActAllow},
		specs.LinuxSyscall{Names: []string{"clone"}, Action: specs.ActAllow, Args: []specs.LinuxSeccompArg{masked, equal}},
		specs.LinuxSyscall{Names: []string{"mount"}, Action: specs.ActErrno},
		specs.LinuxSyscall{Names: []string{"clone3"}, Action: specs.ActErrno, ErrnoRet: new(uint(38))}, // as the default
		specs.LinuxSyscall{Names: []string{"reboot"}, Action: specs.ActKillThread},
		specs.LinuxSyscall{Names: []string{"bpf"}, Action: specs.ActTrap},
	))
	want := "2\nallowlist errno 38\n[all]\nread allow\nwrite allow\nclone allow [0,5,SCMP_CMP_MASKED_EQ,2114060288][1,9,SCMP_CMP_EQ]\nmount errno 1\nreboot kill\nbpf trap\n"
	if err != nil || got != want {
		t.Errorf("the profile is\n%s, %v, want\n%s", got, err, want)
	}
	f := lxcSeccomp(specs.LinuxSyscall{Names: []string{"mount"}, Action: specs.ActKill})
	f.DefaultAction = specs.ActAllow
	if got, err := lxcProfile(f); err != nil || got != "2\ndenylist allow\n[all]\nmount kill\n" {
		t.Errorf("a denylist is\n%s, %v", got, err)
	}
	if got, err := lxcProfile(nil); got != "" || err != nil {
		t.Errorf("no filter is %q, %v", got, err)
	}
	for want, edit := range map[string]func(*specs.LinuxSeccomp){
		"loads filters for":       func(f *specs.LinuxSeccomp) { f.Architectures = f.Architectures[:1] },
		"no flags":                func(f *specs.LinuxSeccomp) { f.Flags = []specs.LinuxSeccompFlag{specs.LinuxSeccompFlagLog} },
		"or listener":             func(f *specs.LinuxSeccomp) { f.ListenerPath = "/x" },
		"no seccomp action SCMP_": func(f *specs.LinuxSeccomp) { f.DefaultAction = specs.ActLog },
		"SCMP_ACT_KILL_PROCESS":   func(f *specs.LinuxSeccomp) { f.Syscalls[0].Action = specs.ActKillProcess },
		"once in a rule":          func(f *specs.LinuxSeccomp) { f.Syscalls[0].Args = []specs.LinuxSeccompArg{equal, equal} },
	} {
		f := lxcSeccomp(specs.LinuxSyscall{Names: []string{"read"}, Action: specs.ActAllow})
		edit(f)
		if _, err := lxcProfile(f); !errors.Is(err, kernel.ErrNotSupported) || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q in it", f, err, want)
		}
	}
	_, err = lxcProfile(lxcSeccomp(specs.LinuxSyscall{Names: []string{"read", "socket"}, Action: specs.ActAllow, Args: []specs.LinuxSeccompArg{equal}}))
	if refused := errors.Is(err, kernel.ErrNotSupported); refused != (runtime.GOARCH == "amd64") {
		t.Errorf("arguments of socket: %v", err)
	}
}

// TestLXCFilter has the default filter of a hardened spec loaded: nothing but what LXC cannot compare is
// another's.
func TestLXCFilter(t *testing.T) {
	s := spec.New(spec.Hardened, spec.Options{})
	if _, err := lxcProfile(s.Linux.Seccomp); err == nil {
		t.Error("the default filter needs no change")
	}
	before := len(s.Linux.Seccomp.Syscalls)
	lxcFilter(s)
	text, err := lxcProfile(s.Linux.Seccomp)
	if err != nil || before == 0 {
		t.Fatalf("of %d rules: %v", before, err)
	}
	lines := strings.Split(text, "\n")
	if runtime.GOARCH == "amd64" && (!slices.Contains(lines, "socket allow") || strings.Contains(text, "socket allow [")) {
		t.Error("the arguments of socket are not taken off")
	}
	if !strings.Contains(text, "\nioctl allow [1,") || slices.Contains(lines, "ioctl allow") || slices.Contains(lines, "keyctl allow") {
		t.Errorf("more was changed:\n%s", text)
	}
	lxcFilter(&specs.Spec{Linux: &specs.Linux{}}) // no filter stays none
}
