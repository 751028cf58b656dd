package seccomp

import (
	"testing"

	elastic "github.com/elastic/go-seccomp-bpf"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// BenchmarkInstructions counts what the kernel interprets for getpid(2), and on average for
// every call that is allowed whatever its arguments: in our program, and in the one that the
// kept library's linear assembler makes of the same names.
func BenchmarkInstructions(b *testing.B) {
	ours, err := compile(specs.ArchX86_64, defaultOf(specs.ArchX86_64, nil))
	if err != nil {
		b.Fatal(err)
	}
	b.Run("tree", func(b *testing.B) { count(b, ours.Filters) })
	b.Run("linear", func(b *testing.B) { count(b, linear(b)) })
}

func BenchmarkCompile(b *testing.B) {
	s := defaultOf(specs.ArchX86_64, nil)
	for b.Loop() {
		if _, err := compile(specs.ArchX86_64, s); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDefault(b *testing.B) {
	for b.Loop() {
		defaultOf(specs.ArchX86_64, nil)
	}
}

func count(b *testing.B, filters []unix.SockFilter) {
	var getpid, total, calls int
	for b.Loop() {
		getpid, total, calls = 0, 0, 0
		for nr := range uint32(467) {
			ret, n := interpret(filters, call{arch: unix.AUDIT_ARCH_X86_64, nr: nr})
			if ret == allow {
				total += n
				calls++
			}
			if nr == 39 {
				getpid = n
			}
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(len(filters)), "instructions")
	b.ReportMetric(float64(getpid), "instructions/getpid")
	b.ReportMetric(float64(total)/float64(calls), "instructions/allowed")
}

// linear compiles the rules without arguments with the kept library.
func linear(b *testing.B) []unix.SockFilter {
	a, err := abis[0].read()
	if err != nil {
		b.Fatal(err)
	}
	group := elastic.SyscallGroup{Action: elastic.ActionAllow}
	for _, r := range defaultOf(specs.ArchX86_64, nil).Syscalls {
		for _, name := range r.Names {
			if _, ok := a.number(name); ok && len(r.Args) == 0 && r.Action == specs.ActAllow {
				group.Names = append(group.Names, name)
			}
		}
	}
	policy := elastic.Policy{DefaultAction: elastic.ActionErrno, Syscalls: []elastic.SyscallGroup{group}}
	instructions, err := policy.Assemble()
	if err != nil {
		b.Skip(err) // it compiles for the architecture it runs on
	}
	raw, err := bpf.Assemble(instructions)
	if err != nil {
		b.Fatal(err)
	}
	var out []unix.SockFilter
	for _, r := range raw {
		out = append(out, unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K})
	}
	return out
}
