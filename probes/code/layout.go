package code

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/cilium/ebpf/btf"

	"cellwall/runtime/kernel"
)

// Layout says where the running kernel keeps the fields of its structures. It asks the kernel's
// own type information (BTF) and never its version.
type Layout struct{ types Types }

// Types finds a type by name; *btf.Spec does. Its answer is stored in typ, which points to a
// pointer to a type of package btf.
type Types interface {
	TypeByName(name string, typ any) error
}

// KernelLayout reads the BTF of the running kernel. The error wraps kernel.ErrNotSupported where
// the kernel has none.
func KernelLayout(cache *btf.Cache) (*Layout, error) {
	spec, err := cache.Kernel()
	if err != nil {
		return nil, fmt.Errorf("read the kernel's BTF: %w: %w", kernel.ErrNotSupported, err)
	}
	return NewLayout(spec), nil
}

// NewLayout answers from other types than the running kernel's.
func NewLayout(t Types) *Layout { return &Layout{types: t} }

// lookup stores the type of a name in typ; what says what is looked for.
func (l *Layout) lookup(what, name string, typ any) error {
	err := l.types.TypeByName(name, typ)
	if errors.Is(err, btf.ErrNotFound) {
		return kernel.Unsupported("this kernel has no %s", what)
	}
	if err != nil { // BTF can have several types of a name, and does not say which one is meant
		return fmt.Errorf("find %s in the kernel's BTF: %w: %w", what, kernel.ErrNotSupported, err)
	}
	return nil
}

// Tracepoint returns nil where the kernel itself, not a module, has a tracepoint. The error wraps
// kernel.ErrNotSupported.
func (l *Layout) Tracepoint(name string) error {
	var t *btf.Typedef
	return l.tracepoint(name, &t)
}

func (l *Layout) tracepoint(name string, t **btf.Typedef) error {
	return l.lookup("tracepoint "+name, "btf_trace_"+name, t)
}

// Function returns nil where the kernel itself, not a module, has a function. The error wraps
// kernel.ErrNotSupported.
func (l *Layout) Function(name string) error {
	var f *btf.Func
	return l.lookup("function "+name, name, &f)
}

// Field is where a field lies.
type Field struct {
	Offset int // of the load, in bytes from the start of the structure
	Size   int // of the load: 1, 2, 4 or 8 bytes
	Shift  int // what a bit field has to be moved down by, in bits, on a little-endian machine
	Bits   int // its width, 0 where it is no bit field
	Signed bool
}

// Field finds "task_struct.se.cfs_rq": the structure, and its members down to one that a load
// can fetch. Members of anonymous structures and unions are found as in C, and "subsys[4]" is an
// element. Pointers are not followed. The error wraps kernel.ErrNotSupported where this kernel
// has no such field.
func (l *Layout) Field(path string) (Field, error) {
	typ, at, bits, err := l.find(path)
	if err != nil {
		return Field{}, err
	}
	return place(path, typ, at, bits)
}

// Offset is where a member of any type begins, in bytes.
func (l *Layout) Offset(path string) (int, error) {
	_, at, _, err := l.find(path)
	return int(at / 8), err
}

// find follows a path to its last member: its type, its first bit, and its width in bits if it is
// a bit field.
func (l *Layout) find(path string) (typ btf.Type, at btf.Bits, bits int, err error) {
	name, rest, _ := strings.Cut(path, ".")
	var s *btf.Struct
	if err := l.lookup("struct "+name, name, &s); err != nil {
		return nil, 0, 0, err
	}
	typ = s
	for word := range strings.SplitSeq(rest, ".") {
		name, index, err := element(word)
		if err != nil {
			return nil, 0, 0, fmt.Errorf("field %s: %w", path, err)
		}
		m, in, ok := member(typ, name)
		if !ok {
			return nil, 0, 0, kernel.Unsupported("this kernel has no %s", path)
		}
		at, bits, typ = at+in, int(m.BitfieldSize), btf.UnderlyingType(m.Type)
		if index < 0 {
			continue
		}
		array, ok := typ.(*btf.Array)
		if !ok {
			return nil, 0, 0, fmt.Errorf("field %s: %s is no array", path, name)
		}
		size, err := btf.Sizeof(array.Type)
		if err != nil {
			return nil, 0, 0, fmt.Errorf("field %s: %w", path, err)
		}
		at, typ = at+btf.Bits(index*size*8), btf.UnderlyingType(array.Type)
	}
	return typ, at, bits, nil
}

// Has reports whether the kernel has a field.
func (l *Layout) Has(path string) bool {
	_, err := l.Field(path)
	return err == nil
}

// Value is the value of an enumerator: Value("cgroup_subsys_id", "cpu_cgrp_id").
func (l *Layout) Value(enum, name string) (int, error) {
	var e *btf.Enum
	if err := l.lookup("enum "+enum, enum, &e); err != nil {
		return 0, err
	}
	for _, v := range e.Values {
		if v.Name == name {
			return int(v.Value), nil
		}
	}
	return 0, kernel.Unsupported("this kernel has no %s", name)
}

// Points reports whether argument i of a tracepoint, the first being 0, points to a structure. The error wraps
// kernel.ErrNotSupported where it does not, or this kernel has no such tracepoint.
func (l *Layout) Points(tracepoint string, i int, structure string) error {
	var t *btf.Typedef
	if err := l.tracepoint(tracepoint, &t); err != nil {
		return err
	}
	if p, ok := btf.UnderlyingType(t).(*btf.Pointer); ok {
		f, ok := btf.UnderlyingType(p.Target).(*btf.FuncProto)
		if ok && i+1 < len(f.Params) { // the first one is the data of whoever is attached
			if arg, ok := btf.UnderlyingType(f.Params[i+1].Type).(*btf.Pointer); ok {
				if s, ok := btf.UnderlyingType(arg.Target).(*btf.Struct); ok && s.Name == structure {
					return nil
				}
			}
		}
	}
	return kernel.Unsupported("argument %d of this kernel's tracepoint %s is no struct %s", i, tracepoint, structure)
}

// maxElement bounds an index: no offset can overflow.
const maxElement = 1 << 12

// element splits "subsys[4]" into "subsys" and 4; the index of a plain word is -1.
func element(word string) (string, int, error) {
	name, rest, ok := strings.Cut(word, "[")
	if name == "" {
		return "", 0, fmt.Errorf("%q names no member", word)
	}
	if !ok {
		return name, -1, nil
	}
	i, err := strconv.Atoi(strings.TrimSuffix(rest, "]"))
	if err != nil || i < 0 || i > maxElement || !strings.HasSuffix(rest, "]") {
		return "", 0, fmt.Errorf("%q is no element", word)
	}
	return name, i, nil
}

// member finds a member of a structure or union, and where it begins.
func member(t btf.Type, name string) (btf.Member, btf.Bits, bool) {
	var members []btf.Member
	switch t := t.(type) {
	case *btf.Struct:
		members = t.Members
	case *btf.Union:
		members = t.Members
	}
	for _, m := range members {
		if m.Name == name {
			return m, m.Offset, true
		}
		if m.Name == "" {
			if found, in, ok := member(btf.UnderlyingType(m.Type), name); ok {
				return found, m.Offset + in, true
			}
		}
	}
	return btf.Member{}, 0, false
}

var errNoScalar = errors.New("is neither a number nor a pointer")

// place says how to load a scalar of type t that begins at a bit, bits wide if it is a bit field.
func place(path string, t btf.Type, at btf.Bits, bits int) (Field, error) {
	signed := false
	switch t := t.(type) {
	case *btf.Int:
		signed = t.Encoding&btf.Signed != 0
	case *btf.Pointer, *btf.Enum:
	default:
		return Field{}, fmt.Errorf("field %s %w", path, errNoScalar)
	}
	size, err := btf.Sizeof(t)
	if err != nil {
		return Field{}, fmt.Errorf("field %s: %w", path, err)
	}
	if bits == 0 {
		return Field{Offset: int(at / 8), Size: size, Signed: signed}, nil
	}
	// The verifier lets a program load the bytes that hold the bits, aligned to their own size.
	for load := 1; load <= 8; load *= 2 {
		first := int(at) / (load * 8) * load
		if shift := int(at) - first*8; shift+bits <= load*8 {
			return Field{Offset: first, Size: load, Shift: shift, Bits: bits, Signed: signed}, nil
		}
	}
	return Field{}, fmt.Errorf("field %s: %d bits do not fit into one load", path, bits)
}
