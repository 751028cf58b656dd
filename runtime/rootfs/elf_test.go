package rootfs

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"strings"
	"testing"
)

// fakeELF is a small ELF file without sections, as `strip` of all of them leaves it.
type fakeELF struct {
	machine             elf.Machine
	interpreter, soname string
	needed              []string
	rpath, runpath      string
}

func (f fakeELF) bytes() []byte {
	strs := []byte{0}
	str := func(s string) uint64 {
		at := len(strs)
		strs = append(append(strs, s...), 0)
		return uint64(at)
	}
	var dyn []uint64
	for _, n := range f.needed {
		dyn = append(dyn, uint64(elf.DT_NEEDED), str(n))
	}
	for _, e := range []struct {
		tag   elf.DynTag
		value string
	}{{elf.DT_SONAME, f.soname}, {elf.DT_RPATH, f.rpath}, {elf.DT_RUNPATH, f.runpath}} {
		if e.value != "" {
			dyn = append(dyn, uint64(e.tag), str(e.value))
		}
	}
	if f.machine == 0 {
		f.machine = elf.EM_X86_64
	}
	interp := str(f.interpreter)
	progs := 2
	if f.interpreter != "" {
		progs = 3
	}
	const header, prog, base = 64, 56, 0x400000
	dynAt := uint64(header + progs*prog)
	dynSize := uint64(8 * (len(dyn) + 4))
	strAt := dynAt + dynSize
	dyn = append(dyn, uint64(elf.DT_STRTAB), base+strAt, 0, 0)
	total := strAt + uint64(len(strs))
	var b bytes.Buffer
	put := func(v any) { _ = binary.Write(&b, binary.LittleEndian, v) }
	put(elf.Header64{
		Ident: [16]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:  uint16(elf.ET_DYN), Machine: uint16(f.machine), Version: uint32(elf.EV_CURRENT),
		Phoff: header, Ehsize: header, Phentsize: prog, Phnum: uint16(progs),
	})
	put(elf.Prog64{Type: uint32(elf.PT_LOAD), Vaddr: base, Filesz: total, Memsz: total})
	put(elf.Prog64{Type: uint32(elf.PT_DYNAMIC), Off: dynAt, Vaddr: base + dynAt, Filesz: dynSize, Memsz: dynSize})
	if progs == 3 {
		size := uint64(len(f.interpreter) + 1)
		put(elf.Prog64{Type: uint32(elf.PT_INTERP), Off: strAt + interp, Filesz: size, Memsz: size})
	}
	put(dyn)
	put(strs)
	return b.Bytes()
}

func FuzzReadObject(f *testing.F) {
	f.Add(fakeELF{interpreter: ld, soname: "a", needed: []string{"liba.so"}, rpath: "/x", runpath: "$ORIGIN"}.bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := readObject(bytes.NewReader(data))
		if err != nil {
			return
		}
		for _, s := range append([]string{o.interpreter, o.soname}, o.needed...) {
			if strings.Contains(s, "\x00") || len(s) > 4096 {
				t.Errorf("string %q", s)
			}
		}
	})
}
