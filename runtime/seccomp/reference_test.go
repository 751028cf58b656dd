package seccomp

import (
	"slices"
	"sync"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

const enosys = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)

// decide is the package's doc comment as a plain function over the OCI rules: the reference
// that compiled programs are compared with. It takes names and numbers from the kept library.
func decide(native specs.Arch, s *specs.LinuxSeccomp, c call) uint32 {
	name, served := abiName(native, s.Architectures, c)
	if !served {
		if c.arch == unix.AUDIT_ARCH_X86_64 && native == specs.ArchX86_64 {
			return enosys // x32, not listed
		}
		return unix.SECCOMP_RET_KILL_PROCESS
	}
	nr := c.nr
	if name == specs.ArchX32 {
		nr &^= 0x40000000
	}
	var mine []specs.LinuxSyscall // the rules of this call
	var newest uint32
	named := false
	for _, r := range s.Syscalls {
		for _, n := range r.Names {
			number, ok := libraryNumber(name, n)
			if ok && number < 0xf0000 { // arm's own calls tell nothing of the table's end
				newest, named = max(newest, number), true
			}
			if ok && number == nr {
				mine = append(mine, r)
			}
		}
	}
	for _, r := range mine {
		if len(r.Args) == 0 {
			return retval(r.Action, r.ErrnoRet)
		}
	}
	var matching []uint32
	for _, r := range mine {
		if matches(r.Args, name, c) {
			matching = append(matching, retval(r.Action, r.ErrnoRet))
		}
	}
	if len(matching) > 0 {
		return slices.MinFunc(matching, func(a, b uint32) int { return rank(a) - rank(b) })
	}
	lets := []specs.LinuxSeccompAction{specs.ActAllow, specs.ActLog, specs.ActTrace}
	if len(mine) == 0 && named && nr > newest && !slices.Contains(lets, s.DefaultAction) {
		return enosys
	}
	return retval(s.DefaultAction, s.DefaultErrnoRet)
}

// abiName says which listed ABI a call belongs to.
func abiName(native specs.Arch, listed []specs.Arch, c call) (specs.Arch, bool) {
	has := func(a specs.Arch) bool { return a == native || slices.Contains(listed, a) }
	switch {
	case native == specs.ArchX86_64 && c.arch == unix.AUDIT_ARCH_X86_64 && has(specs.ArchX32) && c.nr&0x40000000 != 0 && c.nr>>31 == 0:
		return specs.ArchX32, true
	case native == specs.ArchX86_64 && c.arch == unix.AUDIT_ARCH_X86_64 && has(specs.ArchX32) && c.nr>>31 != 0:
		return specs.ArchX32, true // no call of any ABI; x32's table is the upper one
	case native == specs.ArchX86_64 && c.arch == unix.AUDIT_ARCH_X86_64:
		return specs.ArchX86_64, c.nr < 0x40000000 || c.nr == 0xffffffff
	case native == specs.ArchX86_64 && c.arch == unix.AUDIT_ARCH_I386:
		return specs.ArchX86, has(specs.ArchX86)
	case native == specs.ArchAARCH64 && c.arch == unix.AUDIT_ARCH_AARCH64:
		return specs.ArchAARCH64, true
	case native == specs.ArchAARCH64 && c.arch == unix.AUDIT_ARCH_ARM:
		return specs.ArchARM, has(specs.ArchARM)
	}
	return "", false
}

// libraryNumbers are the kept library's tables by architecture and name.
var libraryNumbers = sync.OnceValue(func() map[specs.Arch]map[string]uint32 {
	out := map[specs.Arch]map[string]uint32{}
	for a, info := range library {
		out[a] = map[string]uint32{}
		for _, c := range newer {
			out[a][c.name] = c.number
		}
		for n, name := range info.SyscallNumbers {
			if name = corrected(a, n, name); name != "" {
				out[a][name] = uint32(n)
			}
		}
	}
	return out
})

func libraryNumber(a specs.Arch, name string) (uint32, bool) {
	n, ok := libraryNumbers()[a][name]
	return n, ok
}

// matches says whether all comparisons hold.
func matches(args []specs.LinuxSeccompArg, a specs.Arch, c call) bool {
	for _, x := range args {
		got, value, two := c.args[x.Index], x.Value, x.ValueTwo
		if a == specs.ArchX86 || a == specs.ArchARM {
			got, value, two = got&0xffffffff, value&0xffffffff, two&0xffffffff
		}
		holds := map[specs.LinuxSeccompOperator]bool{
			specs.OpNotEqual:     got != value,
			specs.OpLessThan:     got < value,
			specs.OpLessEqual:    got <= value,
			specs.OpEqualTo:      got == value,
			specs.OpGreaterEqual: got >= value,
			specs.OpGreaterThan:  got > value,
			specs.OpMaskedEqual:  got&value == two&value,
		}
		if !holds[x.Op] {
			return false
		}
	}
	return true
}

// rank orders actions by seccomp(2): 0 is the strictest.
func rank(ret uint32) int {
	return slices.Index([]uint32{
		unix.SECCOMP_RET_KILL_PROCESS, unix.SECCOMP_RET_KILL_THREAD, unix.SECCOMP_RET_TRAP,
		unix.SECCOMP_RET_ERRNO, unix.SECCOMP_RET_USER_NOTIF, unix.SECCOMP_RET_TRACE,
		unix.SECCOMP_RET_LOG, unix.SECCOMP_RET_ALLOW,
	}, ret&0xffff0000)
}

func retval(a specs.LinuxSeccompAction, errno *uint) uint32 {
	data := uint32(unix.EPERM)
	if errno != nil {
		data = uint32(*errno)
	}
	return map[specs.LinuxSeccompAction]uint32{
		specs.ActKill:        0,
		specs.ActKillThread:  0,
		specs.ActKillProcess: 0x80000000,
		specs.ActTrap:        0x00030000,
		specs.ActErrno:       0x00050000 | data,
		specs.ActTrace:       0x7ff00000 | data,
		specs.ActLog:         0x7ffc0000,
		specs.ActAllow:       0x7fff0000,
	}[a]
}
