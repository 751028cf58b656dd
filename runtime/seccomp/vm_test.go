package seccomp

import (
	"encoding/binary"
	"fmt"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// call is struct seccomp_data without the instruction pointer.
type call struct {
	nr, arch uint32
	args     [6]uint64
}

func (c call) String() string { return fmt.Sprintf("call %d of %#x %#x", int32(c.nr), c.arch, c.args) }

// words is the call as 32-bit words, as a little-endian kernel lays it out.
func (c call) words() [16]uint32 {
	w := [16]uint32{0: c.nr, 1: c.arch}
	for i, a := range c.args {
		w[4+2*i], w[5+2*i] = uint32(a), uint32(a>>32)
	}
	return w
}

// machine runs a program twice, in an interpreter of our own that counts and in that of x/net,
// which shares no line with it, and fails the test where they differ.
type machine struct {
	t       testing.TB
	filters []unix.SockFilter
	vm      *bpf.VM
}

func newMachine(t testing.TB, filters []unix.SockFilter) machine {
	t.Helper()
	if err := check(filters); err != nil {
		t.Fatal(err)
	}
	raw := make([]bpf.RawInstruction, len(filters))
	for i, f := range filters {
		raw[i] = bpf.RawInstruction{Op: f.Code, Jt: f.Jt, Jf: f.Jf, K: f.K}
	}
	instructions, ok := bpf.Disassemble(raw)
	if !ok {
		t.Fatal("x/net cannot disassemble the program")
	}
	vm, err := bpf.NewVM(instructions)
	if err != nil {
		t.Fatal(err)
	}
	return machine{t: t, filters: filters, vm: vm}
}

func (m machine) run(c call) uint32 {
	m.t.Helper()
	got, _ := interpret(m.filters, c)
	var data []byte
	for _, w := range c.words() { // x/net loads big endian
		data = binary.BigEndian.AppendUint32(data, w)
	}
	other, err := m.vm.Run(data)
	if err != nil || uint32(other) != got {
		m.t.Fatalf("%v: %#x, but x/net says %#x, %v", c, got, other, err)
	}
	return got
}

// interpret returns what a checked program returns, and how many instructions that took.
func interpret(filters []unix.SockFilter, c call) (ret uint32, count int) {
	words := c.words()
	var acc uint32
	for pc := 0; ; pc++ {
		f := filters[pc]
		count++
		taken := false
		switch f.Code {
		case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
			acc = words[f.K/4]
			continue
		case unix.BPF_ALU | unix.BPF_AND | unix.BPF_K:
			acc &= f.K
			continue
		case unix.BPF_RET | unix.BPF_K:
			return f.K, count
		case unix.BPF_JMP | unix.BPF_JA:
			pc += int(f.K)
			continue
		case unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K:
			taken = acc == f.K
		case unix.BPF_JMP | unix.BPF_JGT | unix.BPF_K:
			taken = acc > f.K
		case unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K:
			taken = acc >= f.K
		case unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K:
			taken = acc&f.K != 0
		}
		if taken {
			pc += int(f.Jt)
		} else {
			pc += int(f.Jf)
		}
	}
}

// check refuses what the kernel's bpf_check_classic and seccomp_check_filter would refuse, and
// opcodes that the compiler has no reason to emit.
func check(filters []unix.SockFilter) error {
	if len(filters) == 0 || len(filters) > maxInstructions {
		return fmt.Errorf("%d instructions", len(filters))
	}
	for i, f := range filters {
		far := 0
		switch f.Code {
		case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
			if f.K%4 != 0 || f.K >= 64 {
				return fmt.Errorf("instruction %d loads from %d", i, f.K)
			}
		case unix.BPF_ALU | unix.BPF_AND | unix.BPF_K:
		case unix.BPF_RET | unix.BPF_K:
			continue
		case unix.BPF_JMP | unix.BPF_JA:
			far = int(f.K)
		case unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, unix.BPF_JMP | unix.BPF_JGT | unix.BPF_K,
			unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K, unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K:
			far = int(max(f.Jt, f.Jf))
		default:
			return fmt.Errorf("instruction %d has the code %#x", i, f.Code)
		}
		if i+1+far >= len(filters) {
			return fmt.Errorf("instruction %d jumps out of the program", i)
		}
	}
	return nil
}
