package load

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
)

// The tiny programs, by their names in the root directory. They are static and of one page, so that what
// is measured is the container and not the program.
const (
	// Clock writes the time of CLOCK_MONOTONIC as it is at its first instruction, a struct timespec of 16
	// bytes, to standard output and exits with 0.
	Clock = "clock"
	// Idle waits until its standard input ends and exits with 0.
	Idle = "idle"
	// True exits with 0.
	True = "true"
	// Fill forks children that wait, until a fork fails or there are FillMost of them; it writes how many,
	// as 8 bytes, and waits until its standard input ends, as its children do.
	Fill = "fill"
)

// FillMost bounds Fill, also where no limit stops it.
const FillMost = 1024

// ClockBytes is how much Clock writes.
const ClockBytes = 16

// Tiny returns the tiny programs by name.
func Tiny() map[string][]byte {
	return map[string][]byte{Clock: program(clockCode), Idle: program(idleCode), True: program(trueCode), Fill: program(fillCode)}
}

// base is where a tiny program is loaded.
const base = 0x400000

// program is a static ELF executable of one segment: elf(5).
func program(code string) []byte {
	const headers = 64 + 56 // of the file and of the segment
	size := uint64(headers + len(code))
	file := elf.Header64{
		Ident: [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:  uint16(elf.ET_EXEC), Machine: uint16(machine), Version: uint32(elf.EV_CURRENT),
		Entry: base + headers, Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 1,
	}
	segment := elf.Prog64{
		Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X),
		Vaddr: base, Paddr: base, Filesz: size, Memsz: size, Align: 0x10000,
	}
	var b bytes.Buffer
	for _, part := range []any{file, segment, []byte(code)} {
		if err := binary.Write(&b, binary.LittleEndian, part); err != nil {
			panic(fmt.Sprintf("write a program: %v", err)) // its types are of a fixed size
		}
	}
	return b.Bytes()
}
