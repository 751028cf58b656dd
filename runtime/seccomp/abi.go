package seccomp

import (
	"fmt"
	"slices"

	"github.com/elastic/go-seccomp-bpf/arch"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// x32Bit marks the numbers of x32's system calls (__X32_SYSCALL_BIT of asm/unistd.h).
const x32Bit = 0x40000000

// abi is one way to enter the kernel: an audit architecture and a table of numbers.
type abi struct {
	name  specs.Arch
	audit uint32 // AUDIT_ARCH_*, seccomp_data.arch
	bit   uint32 // set in every number
	wide  bool   // arguments have 64 bits
	info  *arch.Info
}

var abis = []abi{
	{name: specs.ArchX86_64, audit: unix.AUDIT_ARCH_X86_64, wide: true, info: arch.X86_64},
	{name: specs.ArchX32, audit: unix.AUDIT_ARCH_X86_64, bit: x32Bit, wide: true, info: arch.X32},
	{name: specs.ArchX86, audit: unix.AUDIT_ARCH_I386, info: arch.I386},
	{name: specs.ArchAARCH64, audit: unix.AUDIT_ARCH_AARCH64, wide: true, info: arch.AARCH64},
	{name: specs.ArchARM, audit: unix.AUDIT_ARCH_ARM, info: arch.ARM},
}

// kernels says which architectures a kernel of a native one can serve.
var kernels = map[specs.Arch][]specs.Arch{
	specs.ArchX86_64:  {specs.ArchX86_64, specs.ArchX32, specs.ArchX86},
	specs.ArchAARCH64: {specs.ArchAARCH64, specs.ArchARM},
}

// foreign are the architectures of the runtime-spec that no kernel above serves.
var foreign = []specs.Arch{
	specs.ArchMIPS, specs.ArchMIPS64, specs.ArchMIPS64N32, specs.ArchMIPSEL, specs.ArchMIPSEL64,
	specs.ArchMIPSEL64N32, specs.ArchPPC, specs.ArchPPC64, specs.ArchPPC64LE, specs.ArchS390,
	specs.ArchS390X, specs.ArchPARISC, specs.ArchPARISC64, specs.ArchRISCV64,
	specs.ArchLOONGARCH64, specs.ArchM68K, specs.ArchSH, specs.ArchSHEB,
}

// newer are calls that the kept tables do not have yet. Since Linux 5.1 (commit 39036cd27273)
// new calls have the same number on every architecture here.
var newer = map[string]uint32{
	"file_getattr":     468, // Linux 6.17
	"file_setattr":     469, // Linux 6.17
	"listns":           470, // Linux 6.19
	"rseq_slice_yield": 471, // Linux 7.0
}

func archOfGo(goarch string) (specs.Arch, error) {
	switch goarch {
	case "amd64":
		return specs.ArchX86_64, nil
	case "arm64":
		return specs.ArchAARCH64, nil
	}
	return "", fmt.Errorf("compile seccomp profile for %s: %w", goarch, ErrNotSupported)
}

// abisOf returns the ABIs of a program, the native one first. A listed architecture that a
// native kernel never reports needs no code.
func abisOf(native specs.Arch, listed []specs.Arch) ([]abi, error) {
	for _, a := range listed {
		known := slices.Contains(foreign, a) || slices.ContainsFunc(abis, func(b abi) bool { return b.name == a })
		if !known {
			return nil, fmt.Errorf("compile seccomp profile: unknown architecture %q", a)
		}
	}
	var out []abi
	for _, a := range kernels[native] {
		if a != native && !slices.Contains(listed, a) {
			continue
		}
		out = append(out, abis[slices.IndexFunc(abis, func(b abi) bool { return b.name == a })])
	}
	return out, nil
}

// number returns the number of a call in seccomp_data.nr, with the ABI's bit.
func (a abi) number(name string) (uint32, bool) {
	if n, ok := a.info.SyscallNames[name]; ok {
		return uint32(n) | a.bit, true
	}
	n, ok := newer[name]
	return n | a.bit, ok
}
