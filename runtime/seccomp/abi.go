package seccomp

import (
	"embed"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// x32Bit marks the numbers of x32's system calls (__X32_SYSCALL_BIT of asm/unistd.h).
const x32Bit = 0x40000000

// tables holds one file an ABI, a line a call: number, space, name. They come from
// github.com/elastic/go-seccomp-bpf/arch, corrected, by `go test -update`. Importing that package
// instead would cost every start of cellwall 0.17 ms, for its maps, and arm64 its newfstatat.
//
//go:embed tables/*.txt
var tables embed.FS

// abi is one way to enter the kernel: an audit architecture and a table of numbers.
type abi struct {
	name  specs.Arch
	audit uint32 // AUDIT_ARCH_*, seccomp_data.arch
	bit   uint32 // set in every number
	wide  bool   // arguments have 64 bits
	file  string // in tables
	// numbers are those of the file and of newer, without the bit.
	numbers map[string]uint32
	// spans are what a profile decides, in order of numbers; compile sets them.
	spans []span
}

var abis = []abi{
	{name: specs.ArchX86_64, audit: unix.AUDIT_ARCH_X86_64, wide: true, file: "x86_64"},
	{name: specs.ArchX32, audit: unix.AUDIT_ARCH_X86_64, bit: x32Bit, wide: true, file: "x32"},
	{name: specs.ArchX86, audit: unix.AUDIT_ARCH_I386, file: "i386"},
	{name: specs.ArchAARCH64, audit: unix.AUDIT_ARCH_AARCH64, wide: true, file: "aarch64"},
	{name: specs.ArchARM, audit: unix.AUDIT_ARCH_ARM, file: "arm"},
}

// foreign are the architectures of the runtime-spec that no kernel of kernelABIs reports.
var foreign = []specs.Arch{
	specs.ArchMIPS, specs.ArchMIPS64, specs.ArchMIPS64N32, specs.ArchMIPSEL, specs.ArchMIPSEL64,
	specs.ArchMIPSEL64N32, specs.ArchPPC, specs.ArchPPC64, specs.ArchPPC64LE, specs.ArchS390,
	specs.ArchS390X, specs.ArchPARISC, specs.ArchPARISC64, specs.ArchRISCV64,
	specs.ArchLOONGARCH64, specs.ArchM68K, specs.ArchSH, specs.ArchSHEB,
}

// newer are calls that the tables do not have yet. Since Linux 5.1 (commit 39036cd27273) new
// calls have the same number on every architecture here.
var newer = []struct {
	name   string
	number uint32
}{
	{name: "file_getattr", number: 468},     // Linux 6.17
	{name: "file_setattr", number: 469},     // Linux 6.17
	{name: "listns", number: 470},           // Linux 6.19
	{name: "rseq_slice_yield", number: 471}, // Linux 7.0
}

func archOfGo(goarch string) (specs.Arch, error) { //nolint:unparam // it is another one elsewhere
	switch goarch {
	case "amd64":
		return specs.ArchX86_64, nil
	case "arm64":
		return specs.ArchAARCH64, nil
	}
	return "", fmt.Errorf("find system call table of %s: %w", goarch, ErrNotSupported)
}

// kernelABIs says what a kernel of a native architecture can serve, the native one first.
func kernelABIs(native specs.Arch) []specs.Arch {
	if native == specs.ArchAARCH64 {
		return []specs.Arch{specs.ArchAARCH64, specs.ArchARM}
	}
	return []specs.Arch{specs.ArchX86_64, specs.ArchX32, specs.ArchX86}
}

// abisOf returns the ABIs of a program, the native one first. A listed architecture that the
// native kernel never reports needs no code.
func abisOf(native specs.Arch, listed []specs.Arch) ([]abi, error) {
	for _, a := range listed {
		if !slices.Contains(foreign, a) && indexABI(a) < 0 {
			return nil, fmt.Errorf("compile seccomp profile: unknown architecture %q: want a name such as SCMP_ARCH_X86_64", a)
		}
	}
	var out []abi
	for _, name := range kernelABIs(native) {
		if name != native && !slices.Contains(listed, name) {
			continue
		}
		a, err := abis[indexABI(name)].read()
		if err != nil {
			return nil, fmt.Errorf("compile seccomp profile: %w", err)
		}
		out = append(out, a)
	}
	return out, nil
}

// Numbers returns the system calls of the native architecture, by name. The error wraps
// ErrNotSupported on an architecture that has no tables.
func Numbers() (map[string]uint32, error) {
	native, err := archOfGo(runtime.GOARCH)
	if err != nil {
		return nil, err
	}
	a, err := abis[indexABI(native)].read()
	return a.numbers, err
}

func indexABI(name specs.Arch) int {
	return slices.IndexFunc(abis, func(a abi) bool { return a.name == name })
}

// read returns the ABI with its numbers.
func (a abi) read() (abi, error) {
	text, err := tables.ReadFile("tables/" + a.file + ".txt")
	if err != nil {
		return a, fmt.Errorf("read system call table: %w", err)
	}
	a.numbers = make(map[string]uint32, 512)
	for _, call := range newer {
		a.numbers[call.name] = call.number
	}
	for line := range strings.Lines(string(text)) {
		number, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		n, err := strconv.ParseUint(number, 10, 32)
		if err != nil {
			return a, fmt.Errorf("read system call table of %s: %w", a.name, err)
		}
		a.numbers[name] = uint32(n)
	}
	return a, nil
}

// number returns the number of a call in seccomp_data.nr, with the ABI's bit.
func (a abi) number(name string) (uint32, bool) {
	n, ok := a.numbers[name]
	return n | a.bit, ok
}
