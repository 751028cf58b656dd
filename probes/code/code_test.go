package code

import (
	"errors"
	"strings"
	"testing"

	"github.com/cilium/ebpf/asm"

	"cellwall/runtime/kernel"
)

// loads counts the loads of a program and its calls of bpf_probe_read_kernel.
func loads(ins asm.Instructions) (direct, helped int) {
	for _, in := range ins {
		switch {
		case in.IsFunctionCall() || in.IsBuiltinCall():
			if in.Constant == int64(asm.FnProbeReadKernel) {
				helped++
			}
		case in.OpCode.Class() == asm.LdXClass && in.Src != asm.RFP:
			direct++
		}
	}
	return direct, helped
}

func TestFieldsAreLoadedAsTheProgramMay(t *testing.T) {
	for name, c := range map[string]struct {
		load           Load
		direct, helped int
	}{"direct": {Direct, 3, 0}, "by helper": {Helper, 0, 3}} {
		b := New(NewLayout(fakeTypes()), c.load)
		b.Path(asm.R6, asm.R7, "outer.next", "inner.b")
		b.Field(asm.R6, asm.R7, "outer.high")
		b.Exit()
		ins, err := b.Program()
		if err != nil {
			t.Fatal(err)
		}
		if direct, helped := loads(ins); direct != c.direct || helped != c.helped {
			t.Errorf("%s: %d loads and %d calls\n%v", name, direct, helped, ins)
		}
	}
}

func TestAnAddressFromAMapTakesTheHelper(t *testing.T) {
	b := New(NewLayout(fakeTypes()), Direct)
	b.FieldAt(asm.R0, asm.R7, "outer.next")
	b.Exit()
	ins, err := b.Program()
	if err != nil {
		t.Fatal(err)
	}
	if direct, helped := loads(ins); direct != 0 || helped != 1 {
		t.Errorf("%d loads and %d calls\n%v", direct, helped, ins)
	}
}

// A program for a kernel that lacks what it needs is not supported there; it is never half a program.
func TestProgramSaysWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct {
		write   func(*Builder)
		says    string
		lacking bool
	}{
		"field":    {func(b *Builder) { b.Field(asm.R0, asm.R6, "outer.gone") }, "no outer.gone", true},
		"text":     {func(b *Builder) { b.Text(b.Slot(8), asm.R6, "gone.comm", 8) }, "no struct gone", true},
		"first":    {func(b *Builder) { b.Field(asm.R0, asm.R6, "outer.gone"); b.Fail(errors.New("later")) }, "no outer.gone", true},
		"stack":    {func(b *Builder) { b.Slot(400); b.Slot(120) }, "520 bytes of stack", false},
		"dangling": {func(b *Builder) { b.Label("end") }, "ends with a label", false},
	} {
		b := New(NewLayout(fakeTypes()), Direct)
		c.write(b)
		if name != "dangling" {
			b.Exit()
		}
		ins, err := b.Program()
		if ins != nil || err == nil || !strings.Contains(err.Error(), c.says) || errors.Is(err, kernel.ErrNotSupported) != c.lacking {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTwoLabelsForOnePlace(t *testing.T) {
	b := New(NewLayout(fakeTypes()), Direct)
	b.Do(asm.JEq.Imm(asm.R1, 0, "one"), asm.JEq.Imm(asm.R1, 1, "two"))
	b.Label("one")
	b.Label("two")
	b.Exit()
	ins, err := b.Program()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, in := range ins {
		seen[in.Symbol()]++
	}
	if seen["one"] != 1 || seen["two"] != 1 {
		t.Errorf("labels %v\n%v", seen, ins)
	}
}

func TestSlotsAreAligned(t *testing.T) {
	b := New(NewLayout(fakeTypes()), Direct)
	for _, c := range []struct {
		size int
		want int16
	}{{8, -8}, {1, -16}, {12, -32}, {16, -48}} {
		if got := b.Slot(c.size); got != c.want {
			t.Errorf("Slot(%d) = %d, want %d", c.size, got, c.want)
		}
	}
}
