package attack

import (
	"encoding/binary"
)

// helperBase is where the helper is loaded.
const helperBase = 0x400000

// Helper is a program of a few instructions: it writes one byte, waits until its input ends, and exits
// with 0 if its effective uid is 0, else with 1. It is what attacks give a set-user-ID bit or
// capabilities: nothing could be done with it. Before its byte execve(2) may not have changed ids and
// capabilities yet: it closes the descriptors by which os/exec knows of it first.
func Helper() []byte {
	const headers = 64 + 56 // Elf64_Ehdr and one Elf64_Phdr of elf(5)
	le := binary.LittleEndian
	b := append([]byte{0x7f, 'E', 'L', 'F', 2, 1, 1}, make([]byte, 9)...)
	b = le.AppendUint16(b, 2) // ET_EXEC
	b = le.AppendUint16(b, helperMachine)
	b = le.AppendUint32(b, 1)                  // EV_CURRENT
	b = le.AppendUint64(b, helperBase+headers) // e_entry
	b = le.AppendUint64(b, 64)                 // e_phoff
	b = le.AppendUint64(b, 0)                  // e_shoff
	b = le.AppendUint32(b, 0)                  // e_flags
	for _, half := range []uint16{64, 56, 1, 0, 0, 0} {
		b = le.AppendUint16(b, half) // e_ehsize, e_phentsize, e_phnum, no sections
	}
	size := uint64(headers + len(helperCode))
	b = le.AppendUint32(b, 1) // PT_LOAD
	b = le.AppendUint32(b, 5) // PF_R | PF_X
	for _, word := range []uint64{0, helperBase, helperBase, size, size, 0x10000} {
		b = le.AppendUint64(b, word) // p_offset, p_vaddr, p_paddr, p_filesz, p_memsz, p_align
	}
	return append(b, helperCode...)
}

// FileCapability is the security.capability attribute, revision 2, that gives one capability of
// the first 32: struct vfs_cap_data of linux/capability.h.
func FileCapability(number int) []byte {
	const revision2, effective = 0x02000000, 1
	b := binary.LittleEndian.AppendUint32(nil, revision2|effective)
	b = binary.LittleEndian.AppendUint32(b, 1<<number) // permitted
	return append(b, make([]byte, 12)...)              // inheritable, and both above 31
}
