package seccomp

import (
	"slices"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

func TestRefuses(t *testing.T) {
	calls := []uintptr{unix.SYS_READ, unix.SYS_WRITE, unix.SYS_EXECVE, unix.SYS_EXIT_GROUP, unix.SYS_CLOSE_RANGE}
	rule := func(action specs.LinuxSeccompAction, args []specs.LinuxSeccompArg, names ...string) specs.LinuxSyscall {
		return specs.LinuxSyscall{Names: names, Action: action, Args: args}
	}
	first := []specs.LinuxSeccompArg{{Index: 0, Value: 1, Op: specs.OpEqualTo}}
	for _, test := range []struct {
		name    string
		profile specs.LinuxSeccomp
		want    []uintptr
	}{
		{name: "all pass", profile: specs.LinuxSeccomp{DefaultAction: specs.ActAllow}},
		{name: "none passes", profile: specs.LinuxSeccomp{DefaultAction: specs.ActErrno}, want: calls},
		{
			name: "a list passes",
			profile: specs.LinuxSeccomp{DefaultAction: specs.ActKill, Syscalls: []specs.LinuxSyscall{
				rule(specs.ActAllow, nil, "read", "execve"), rule(specs.ActLog, nil, "write"),
			}},
			want: []uintptr{unix.SYS_EXIT_GROUP, unix.SYS_CLOSE_RANGE},
		},
		{
			name: "some pass for some arguments",
			profile: specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{
				rule(specs.ActTrap, nil, "execve"), rule(specs.ActErrno, first, "write"), rule(specs.ActTrace, nil, "exit_group"),
			}},
			want: []uintptr{unix.SYS_WRITE, unix.SYS_EXECVE, unix.SYS_EXIT_GROUP},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, err := Compile(&test.profile)
			if err != nil {
				t.Fatal(err)
			}
			if got := p.Refuses(calls); !slices.Equal(got, test.want) {
				t.Errorf("refuses %v, want %v", got, test.want)
			}
		})
	}
}
