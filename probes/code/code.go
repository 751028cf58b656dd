// Package code writes BPF programs in Go: instructions, fields of kernel structures by name, and
// loads the way that the program's type allows. It knows no probe.
//
// A program keeps what it needs in R6 to R9 and on the stack. Every method may overwrite R0 to R5,
// as a call does.
package code

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// Load is how a program reads the kernel's memory.
type Load int

const (
	// Direct is a plain load through a pointer whose type the verifier knows. Only tracing
	// programs (tp_btf, fentry, fexit) have such pointers. No helper is called, so lockdown does
	// not forbid it, and a fault reads as zero.
	Direct Load = iota
	// Helper is bpf_probe_read_kernel. Lockdown for confidentiality refuses it.
	Helper
)

// stackBytes is the size of a BPF stack.
const stackBytes = 512

// Context is the register that holds the program's context from its first instruction on.
const Context = asm.R9

// Builder collects the instructions of one program. The first error stays, and Program returns it.
type Builder struct {
	layout  *Layout
	load    Load
	ins     asm.Instructions
	label   string // of the next instruction
	labels  int
	stack   int
	scratch int16 // a slot for bpf_probe_read_kernel, 0 until it is needed
	err     error
}

// New begins a program that reads the kernel's memory by load.
func New(layout *Layout, load Load) *Builder {
	b := &Builder{layout: layout, load: load}
	b.Do(asm.Mov.Reg(Context, asm.R1))
	return b
}

// Zero stores eight bytes of zero on the stack. asm.StoreImm takes no value of that size, and the kernel
// does: it extends the sign of the 32 bits in the instruction.
func Zero(at int16) asm.Instruction {
	return asm.Instruction{OpCode: asm.StoreImmOp(asm.DWord), Dst: asm.RFP, Offset: at}
}

// Layout is the kernel's.
func (b *Builder) Layout() *Layout { return b.layout }

// Do appends instructions.
func (b *Builder) Do(ins ...asm.Instruction) {
	for _, in := range ins {
		if b.label != "" {
			in, b.label = in.WithSymbol(b.label), ""
		}
		b.ins = append(b.ins, in)
	}
}

// Fail makes Program return err, unless an earlier one is there.
func (b *Builder) Fail(err error) {
	if b.err == nil {
		b.err = err
	}
}

// NewLabel returns a name that no other label has.
func (b *Builder) NewLabel(hint string) string {
	b.labels++
	return fmt.Sprintf("%s %d", hint, b.labels)
}

// Label gives the next instruction a name, for jumps. Every label must be jumped to.
func (b *Builder) Label(name string) {
	if b.label != "" { // two names for one place: a jump to the next instruction stands between them
		b.Do(asm.Ja.Label(name))
	}
	b.label = name
}

// Slot sets size bytes of the stack apart, aligned to eight, and returns where they begin,
// relative to the frame pointer.
func (b *Builder) Slot(size int) int16 {
	b.stack += (size + 7) &^ 7
	if b.stack > stackBytes {
		b.Fail(fmt.Errorf("program needs %d bytes of stack, there are %d", b.stack, stackBytes))
	}
	return int16(-b.stack)
}

// Address sets dst to the address of a slot.
func (b *Builder) Address(dst asm.Register, slot int16) {
	b.Do(asm.Mov.Reg(dst, asm.RFP), asm.Add.Imm(dst, int32(slot)))
}

// Arg loads argument i of a tracepoint or a traced function, the first being 0.
func (b *Builder) Arg(dst asm.Register, i int) {
	b.Do(asm.LoadMem(dst, Context, int16(8*i), asm.DWord))
}

// Field loads a field of the structure that src points to; see Layout.Field for the path. In
// Helper mode a src that is no kernel address reads as zero. dst may be src.
func (b *Builder) Field(dst, src asm.Register, path string) {
	f, err := b.layout.Field(path)
	if err != nil {
		b.Fail(err)
		return
	}
	size, ok := map[int]asm.Size{1: asm.Byte, 2: asm.Half, 4: asm.Word, 8: asm.DWord}[f.Size]
	if !ok {
		b.Fail(fmt.Errorf("field %s: no load has %d bytes", path, f.Size))
		return
	}
	if b.load == Direct {
		b.Do(asm.LoadMem(dst, src, int16(f.Offset), size))
	} else {
		b.read(src, f)
		b.Do(asm.LoadMem(dst, asm.RFP, b.scratch, size))
	}
	up, down := 0, 0
	switch {
	case f.Bits > 0:
		up, down = 64-f.Shift-f.Bits, 64-f.Bits
	case f.Signed && f.Size < 8:
		up, down = 64-8*f.Size, 64-8*f.Size
	default:
		return
	}
	if up > 0 {
		b.Do(asm.LSh.Imm(dst, int32(up)))
	}
	if f.Signed {
		b.Do(asm.ArSh.Imm(dst, int32(down)))
	} else {
		b.Do(asm.RSh.Imm(dst, int32(down)))
	}
}

// FieldAt loads a field of the structure at an address that was kept in a map: no verifier knows
// what it points to, so this takes bpf_probe_read_kernel in any program.
func (b *Builder) FieldAt(dst, src asm.Register, path string) {
	b.Unknown(func() { b.Field(dst, src, path) })
}

// Unknown writes code for such addresses: what do loads of fields and texts takes bpf_probe_read_kernel.
func (b *Builder) Unknown(do func()) {
	load := b.load
	b.load = Helper
	do()
	b.load = load
}

// read copies a field to the scratch slot, which holds zero if the address is bad.
func (b *Builder) read(src asm.Register, f Field) {
	if b.scratch == 0 {
		b.scratch = b.Slot(8)
	}
	b.Do(
		asm.Mov.Reg(asm.R3, src), asm.Add.Imm(asm.R3, int32(f.Offset)),
		Zero(b.scratch),
	)
	b.Address(asm.R1, b.scratch)
	b.Do(asm.Mov.Imm(asm.R2, int32(f.Size)), asm.FnProbeReadKernel.Call())
}

// Text copies size bytes of a character array, a multiple of eight, to a slot.
func (b *Builder) Text(slot int16, src asm.Register, path string, size int) {
	at, err := b.layout.Offset(path)
	if err != nil {
		b.Fail(err)
		return
	}
	if b.load == Direct {
		for i := 0; i < size; i += 8 {
			b.Do(asm.LoadMem(asm.R0, src, int16(at+i), asm.DWord), asm.StoreMem(asm.RFP, slot+int16(i), asm.R0, asm.DWord))
		}
		return
	}
	b.Do(asm.Mov.Reg(asm.R3, src), asm.Add.Imm(asm.R3, int32(at)))
	b.Address(asm.R1, slot)
	b.Do(asm.Mov.Imm(asm.R2, int32(size)), asm.FnProbeReadKernel.Call())
}

// Path follows pointers: Path(R6, R7, "task_struct.cgroups", "css_set.dfl_cgrp") loads the first
// field, then the second of what the first points to. A pointer on the way that is NULL reads as
// zero to its end.
func (b *Builder) Path(dst, src asm.Register, paths ...string) {
	for _, p := range paths {
		b.Field(dst, src, p)
		src = dst
	}
}

// Exit returns zero.
func (b *Builder) Exit() { b.Do(asm.Mov.Imm(asm.R0, 0), asm.Return()) }

// Program returns the instructions, which end with Exit.
func (b *Builder) Program() (asm.Instructions, error) {
	if b.err != nil {
		return nil, b.err
	}
	if b.label != "" {
		return nil, errors.New("program ends with a label")
	}
	return b.ins, nil
}

// Lookup leaves in R0 the address of the value whose key is in a slot, or zero.
func (b *Builder) Lookup(m *ebpf.Map, key int16) {
	b.Do(asm.LoadMapPtr(asm.R1, m.FD()))
	b.Address(asm.R2, key)
	b.Do(asm.FnMapLookupElem.Call())
}

// Insert stores a value under a key, both in slots; how is BPF_ANY, BPF_NOEXIST or BPF_EXIST. R0
// is zero, or a negative errno.
func (b *Builder) Insert(m *ebpf.Map, key, value int16, how ebpf.MapUpdateFlags) {
	b.Do(asm.LoadMapPtr(asm.R1, m.FD()))
	b.Address(asm.R2, key)
	b.Address(asm.R3, value)
	b.Do(asm.Mov.Imm(asm.R4, int32(how)), asm.FnMapUpdateElem.Call())
}

// Delete removes a key that is in a slot.
func (b *Builder) Delete(m *ebpf.Map, key int16) {
	b.Do(asm.LoadMapPtr(asm.R1, m.FD()))
	b.Address(asm.R2, key)
	b.Do(asm.FnMapDeleteElem.Call())
}

// Now leaves CLOCK_MONOTONIC in R0, in nanoseconds.
func (b *Builder) Now() { b.Do(asm.FnKtimeGetNs.Call()) }
