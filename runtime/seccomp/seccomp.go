// Package seccomp turns an OCI linux.seccomp section into a classic BPF program for seccomp(2).
//
// Do not use it to load a program: the core does that, as one step of its plan.
//
// It compiles by itself because the kept library's own assembler
// (github.com/elastic/go-seccomp-bpf) is linear, knows one architecture a program, no
// SCMP_CMP_MASKED_EQ, no errno of a single rule, and no answer to system calls that are newer
// than the profile. Only that library's system call tables are used.
//
// # What a program does
//
// The native architecture is always served, as libseccomp and the runtime-spec have it; those
// in linux.seccomp.architectures are served besides. A call of any other architecture kills the
// process. Calls of the x32 ABI, where it is not listed, get ENOSYS, as from a kernel without
// it. Numbers above the highest one that the profile names get ENOSYS, as from a kernel without
// them, unless the default action lets calls pass (runc's rule); libc then falls back to older
// calls instead of reporting EPERM.
//
// The kernel keeps a bitmap of the calls that a program allows whatever their arguments, and
// does not run the program for them (Linux 5.11, kernel/seccomp.c, seccomp_is_const_allow).
// Programs here load nothing but number and architecture on the way to such an answer, so they
// qualify.
//
// # When several rules name one call
//
// A rule without arguments beats every rule with arguments, wherever it stands, and the first
// such rule counts (libseccomp: src/db.c, db_rule_add). Of the rules with arguments that match
// a call, the strictest action counts, in the kernel's order (KILL_PROCESS, KILL_THREAD, TRAP,
// ERRNO, TRACE, LOG, ALLOW; seccomp(2)). libseccomp promises no order there, and runc drops
// rules whose action is the default one; here they count. If no rule matches, the default
// action counts. The arguments of one rule are and'ed; two comparisons of the same argument in
// one rule are refused, because runc takes them as two rules and libseccomp refuses them.
//
// Comparisons are of all 64 bits (CVE-2019-10063 was a comparison of 32 bits). For an argument
// that the kernel cuts to 32 bits, use SCMP_CMP_MASKED_EQ with the mask 0xffffffff. On 32-bit
// architectures the kernel shows no high bits, and values are cut to 32 bits, as libseccomp
// does. The x32 ABI has 64-bit registers and is compared as such; libseccomp compares 32 bits.
//
// A rule of socket or of a System V call does not reach what i386 does through socketcall(2)
// and ipc(2): no filter can read their arguments.
package seccomp

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Program is a filter, ready for seccomp(SECCOMP_SET_MODE_FILTER).
type Program struct {
	// Filters holds 1 to 4096 (BPF_MAXINSNS) instructions over struct seccomp_data.
	Filters []unix.SockFilter
	// Flags is a mask of SECCOMP_FILTER_FLAG_*.
	Flags uint
	// Ignored are the names in the profile that no architecture of the program knows, sorted.
	// Calls of that name get the default action.
	Ignored []string

	native []span
}

// Refuses returns those of the given calls of the native architecture, by number, that the program
// does not let pass whatever their arguments.
func (p *Program) Refuses(calls []uintptr) []uintptr {
	return slices.DeleteFunc(slices.Clone(calls), func(nr uintptr) bool {
		i, found := slices.BinarySearchFunc(p.native, uint32(nr), func(s span, nr uint32) int { return cmp.Compare(s.start, nr) })
		if !found {
			i--
		}
		l := p.native[i].leaf
		return len(l.rules) == 0 && strictness(l.fallback) >= strictness(unix.SECCOMP_RET_LOG)
	})
}

// Code is the instructions as the kernel reads them: struct sock_filter, eight bytes each in the host's
// order.
func (p *Program) Code() []byte {
	const size = 8
	code := make([]byte, 0, size*len(p.Filters))
	for _, f := range p.Filters {
		code = binary.NativeEndian.AppendUint16(code, f.Code)
		code = append(code, f.Jt, f.Jf)
		code = binary.NativeEndian.AppendUint32(code, f.K)
	}
	return code
}

// ErrNotSupported is wrapped by the errors for what OCI allows but this compiler cannot do.
var ErrNotSupported = errors.New("not supported")

// maxInstructions is BPF_MAXINSNS of linux/bpf_common.h.
const maxInstructions = 4096

// Compile returns the program of a linux.seccomp section for the architecture it runs on.
// Errors name the rule (counted from 0) and what is wrong with it; those for
// SCMP_ACT_NOTIFY and listeners wrap ErrNotSupported.
func Compile(s *specs.LinuxSeccomp) (Program, error) {
	native, err := archOfGo(runtime.GOARCH)
	if err != nil {
		return Program{}, err
	}
	return compile(native, s)
}

func compile(native specs.Arch, s *specs.LinuxSeccomp) (Program, error) {
	p, err := parse(s)
	if err != nil {
		return Program{}, err
	}
	abis, err := abisOf(native, s.Architectures)
	if err != nil {
		return Program{}, err
	}
	for i := range abis {
		abis[i].spans = p.spans(abis[i])
	}
	filters := assemble(abis)
	if len(filters) > maxInstructions {
		return Program{}, fmt.Errorf("compile seccomp profile: %d instructions, the kernel takes at most %d", len(filters), maxInstructions)
	}
	return Program{Filters: filters, Flags: p.flags, Ignored: p.unknown(abis), native: abis[0].spans}, nil
}
