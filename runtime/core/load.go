package core

import (
	"encoding/binary"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// image is a plan in memory that the child can run: calls, their structures and strings, and
// the slots, in one anonymous mapping outside the Go heap. A child that shares our memory
// reads and writes it while the Go runtime does as it likes.
type image struct {
	mem   []byte
	used  int
	slots int // offset of slot 0, which takes results that nobody wants
	pidfd int // offset of the word into which clone3 writes the child's pidfd
	calls int // offset of the first call
	count int // of calls
}

// imageSlack is what a structure may lose to alignment.
const imageSlack = 16

// load puts the plan into memory. handles gives each named descriptor its number; one that is
// missing is a defect of the caller.
func load(steps []Step, slots int, handles map[Handle]int) (_ *image, err error) {
	size := len(steps)*int(callSize) + (slots+2)*8
	for i := range steps {
		for _, a := range steps[i].args {
			size += a.size()
		}
	}
	mem, err := unix.Mmap(-1, 0, (size+4095)&^4095, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, fmt.Errorf("map %d bytes for the plan: %w", size, err)
	}
	m := &image{mem: mem, count: len(steps)}
	m.calls = m.reserve(len(steps) * int(callSize))
	m.slots = m.reserve((slots + 1) * 8)
	m.pidfd = m.reserve(8)
	for i := range steps {
		c := (*call)(unsafe.Pointer(&m.mem[m.calls+i*int(callSize)]))
		if err := m.encode(c, &steps[i], handles); err != nil {
			return nil, joinClose(fmt.Errorf("load %q: %w", steps[i].Text, err), m)
		}
	}
	return m, nil
}

func joinClose(err error, m *image) error {
	if e := m.Close(); e != nil {
		return fmt.Errorf("%w (and %w)", err, e)
	}
	return err
}

// Close unmaps the image. The child must have left it: by execve, or by its end.
func (m *image) Close() error {
	if m.mem == nil {
		return nil
	}
	mem := m.mem
	m.mem = nil
	if err := unix.Munmap(mem); err != nil {
		return fmt.Errorf("unmap the plan: %w", err)
	}
	return nil
}

func (m *image) address(offset int) uintptr { return uintptr(unsafe.Pointer(&m.mem[offset])) }

func (m *image) first() uintptr { return m.address(m.calls) }
func (m *image) end() uintptr   { return m.first() + uintptr(m.count)*callSize }

// step returns the index of the step whose call lies at an address that the child reported.
func (m *image) step(address uintptr) (int, bool) {
	offset := int(address) - int(m.first())
	i := offset / int(callSize)
	return i, offset >= 0 && offset%int(callSize) == 0 && i < m.count
}

func (m *image) reserve(n int) int {
	at := (m.used + 7) &^ 7
	m.used = at + n
	return at
}

func (m *image) place(b []byte) uintptr {
	at := m.reserve(max(len(b), 1))
	copy(m.mem[at:], b)
	return m.address(at)
}

func (m *image) encode(c *call, s *Step, handles map[Handle]int) error {
	c.number = s.number
	c.min = int64(s.min)
	c.out = m.address(m.slots + 8*int(s.out))
	c.skip = uintptr(s.skip+1) * callSize
	c.then = uintptr(s.then+1) * callSize
	for _, e := range s.tolerate {
		if e < 1 || e > 63 {
			return fmt.Errorf("errno %d cannot be tolerated", int(e))
		}
		c.tolerate |= 1 << e
	}
	for k, a := range s.args {
		v, err := m.value(a, handles)
		if err != nil {
			return err
		}
		c.args[k] = v
		if a.kind == argResult {
			c.indirect |= 1 << k
		}
	}
	return nil
}

func (m *image) value(a arg, handles map[Handle]int) (uintptr, error) {
	switch a.kind {
	case argNumber:
		return a.value, nil
	case argText:
		return m.place(append([]byte(a.text), 0)), nil
	case argMemory:
		return m.place(a.data), nil
	case argVector:
		return m.vector(a.list), nil
	case argFilter:
		return m.fprog(a.data), nil
	case argAncillary:
		return m.msghdr(a.data), nil
	case argResult:
		return m.address(m.slots + 8*int(a.value)), nil
	case argHandle:
		n, ok := handles[Handle(a.text)]
		if !ok {
			return 0, fmt.Errorf("no descriptor for %s", a.text)
		}
		return uintptr(n) + a.value, nil
	}
	return 0, fmt.Errorf("argument kind %d is unknown", a.kind)
}

func (m *image) vector(list []string) uintptr {
	at := m.reserve((len(list) + 1) * 8)
	for i, s := range list {
		binary.NativeEndian.PutUint64(m.mem[at+8*i:], uint64(m.place(append([]byte(s), 0))))
	}
	return m.address(at)
}

// fprog is struct sock_fprog: a count of eight-byte instructions, padding, their address.
func (m *image) fprog(code []byte) uintptr {
	at := m.reserve(16)
	binary.NativeEndian.PutUint16(m.mem[at:], uint16(len(code)/8))
	binary.NativeEndian.PutUint64(m.mem[at+8:], uint64(m.place(code)))
	return m.address(at)
}

func (m *image) msghdr(control []byte) uintptr {
	at, messages := m.reserve(unix.SizeofMsghdr), m.reserve(len(control))
	copy(m.mem[messages:], control)
	header := (*unix.Msghdr)(unsafe.Pointer(&m.mem[at]))
	header.Control = &m.mem[messages]
	header.SetControllen(len(control))
	return m.address(at)
}

// size bounds what an argument takes in memory.
func (a arg) size() int {
	n := len(a.text) + len(a.data) + imageSlack
	if a.kind == argAncillary {
		n += unix.SizeofMsghdr
	}
	for _, s := range a.list {
		n += len(s) + imageSlack + 8
	}
	return n + 16
}
