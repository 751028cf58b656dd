package vm

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
)

// elfFile is the smallest file that is a static program, or with sections a module.
func elfFile(t testing.TB, machine elf.Machine, sections map[string]string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "elf")
	if err := os.WriteFile(name, elfBytes(machine, sections), 0o755); err != nil {
		t.Fatal(err)
	}
	return name
}

func elfBytes(machine elf.Machine, sections map[string]string) []byte {
	const head, each = 64, 64
	names, bodies := "\x00.shstrtab\x00", ""
	table := make([]elf.Section64, 1)
	for name, body := range sections {
		table = append(table, elf.Section64{Name: uint32(len(names)), Type: uint32(elf.SHT_PROGBITS), Off: uint64(head + len(bodies)), Size: uint64(len(body))})
		names, bodies = names+name+"\x00", bodies+body
	}
	table = append(table, elf.Section64{Name: 1, Type: uint32(elf.SHT_STRTAB), Off: uint64(head + len(bodies)), Size: uint64(len(names))})
	h := elf.Header64{
		Ident: [16]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:  uint16(elf.ET_EXEC), Machine: uint16(machine), Version: uint32(elf.EV_CURRENT), Ehsize: head, Shentsize: each,
		Shoff: uint64(head + len(bodies) + len(names)), Shnum: uint16(len(table)), Shstrndx: uint16(len(table) - 1),
	}
	var b bytes.Buffer
	for _, part := range []any{h, []byte(bodies + names), table} {
		if err := binary.Write(&b, binary.LittleEndian, part); err != nil {
			panic(err)
		}
	}
	return b.Bytes()
}
