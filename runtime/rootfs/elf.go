package rootfs

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"strings"
)

// object is what the loader reads of an ELF file.
type object struct {
	class       elf.Class
	machine     elf.Machine
	interpreter string // PT_INTERP, empty for a static program
	soname      string
	needed      []string
	rpath       []string // ignored by the loader if there is a runpath
	runpath     []string
}

// readObject reads program headers and the dynamic segment, never sections: the loader does not
// look at those either, and they may be stripped.
func readObject(r io.ReaderAt) (*object, error) {
	f, err := elf.NewFile(r)
	if err != nil {
		return nil, err
	}
	o := &object{class: f.Class, machine: f.Machine}
	for _, p := range f.Progs {
		switch p.Type {
		case elf.PT_INTERP:
			if o.interpreter, err = cString(r, p.Off); err != nil {
				return nil, fmt.Errorf("read PT_INTERP: %w", err)
			}
		case elf.PT_DYNAMIC:
			if err := o.dynamic(f, r, p); err != nil {
				return nil, fmt.Errorf("read PT_DYNAMIC: %w", err)
			}
		}
	}
	return o, nil
}

func (o *object) dynamic(f *elf.File, r io.ReaderAt, p *elf.Prog) error {
	const most = 1 << 20
	if p.Filesz > most {
		return fmt.Errorf("%d bytes, more than %d", p.Filesz, most)
	}
	data := make([]byte, p.Filesz)
	if _, err := r.ReadAt(data, int64(p.Off)); err != nil {
		return err
	}
	word := 8
	if f.Class == elf.ELFCLASS32 {
		word = 4
	}
	read := func(b []byte) uint64 {
		if word == 4 {
			return uint64(f.ByteOrder.Uint32(b))
		}
		return f.ByteOrder.Uint64(b)
	}
	type entry struct {
		tag   elf.DynTag
		value uint64
	}
	var strs []entry
	var table uint64
	for ; len(data) >= 2*word; data = data[2*word:] {
		e := entry{elf.DynTag(read(data)), read(data[word:])}
		switch e.tag {
		case elf.DT_NULL:
			data = nil
		case elf.DT_STRTAB:
			table = e.value
		case elf.DT_NEEDED, elf.DT_SONAME, elf.DT_RPATH, elf.DT_RUNPATH:
			strs = append(strs, e)
		}
		if data == nil {
			break
		}
	}
	if len(strs) == 0 {
		return nil
	}
	base, err := fileOffset(f, table)
	if err != nil {
		return fmt.Errorf("DT_STRTAB: %w", err)
	}
	for _, e := range strs {
		s, err := cString(r, base+e.value)
		if err != nil {
			return fmt.Errorf("%v: %w", e.tag, err)
		}
		switch e.tag {
		case elf.DT_NEEDED:
			o.needed = append(o.needed, s)
		case elf.DT_SONAME:
			o.soname = s
		case elf.DT_RPATH:
			o.rpath = strings.Split(s, ":")
		case elf.DT_RUNPATH:
			o.runpath = strings.Split(s, ":")
		}
	}
	return nil
}

// fileOffset turns an address into an offset, by the segment that is loaded there.
func fileOffset(f *elf.File, address uint64) (uint64, error) {
	for _, p := range f.Progs {
		if p.Type == elf.PT_LOAD && address >= p.Vaddr && address-p.Vaddr < p.Filesz {
			return p.Off + (address - p.Vaddr), nil
		}
	}
	return 0, fmt.Errorf("no segment is loaded at %#x", address)
}

// cString reads a string up to its zero byte, at most PATH_MAX.
func cString(r io.ReaderAt, off uint64) (string, error) {
	buf := make([]byte, 4096)
	n, err := r.ReadAt(buf, int64(off))
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	end := bytes.IndexByte(buf[:n], 0)
	if end < 0 {
		return "", errors.New("string without an end")
	}
	return string(buf[:end]), nil
}
