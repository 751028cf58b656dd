package seccomp

import (
	"slices"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// allBut must be exact: every 15-bit number, and samples above.
func TestAllBut(t *testing.T) {
	sets := [][]uint32{{unix.TIOCSTI, tiocLinux, unix.TIOCSETD}, {0}, {ones}, {5, 0x80000005}, {1, 2, 3, 4}}
	for _, set := range sets {
		s := &specs.LinuxSeccomp{DefaultAction: specs.ActErrno}
		for _, args := range allBut(1, set...) {
			s.Syscalls = append(s.Syscalls, allowOnly("ioctl", args...).Syscalls...)
		}
		p, err := compile(specs.ArchX86_64, s)
		if err != nil {
			t.Fatal(err)
		}
		try := func(v uint64) {
			got, _ := interpret(p.Filters, call{arch: unix.AUDIT_ARCH_X86_64, nr: 16, args: [6]uint64{1: v}})
			if want := slices.Contains(set, uint32(v)); (got == eperm) != want {
				t.Errorf("%#x, value %#x: %#x, refused want %v", set, v, got, want)
			}
		}
		for low := range uint64(1 << 15) {
			for _, above := range []uint64{0, 1 << 16, 1 << 32, 0xffff << 16} {
				try(low | above)
			}
		}
		for _, v := range set {
			for bit := range 64 {
				try(uint64(v) ^ 1<<bit)
			}
		}
	}
}
