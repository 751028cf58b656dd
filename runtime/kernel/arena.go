package kernel

import (
	"encoding/binary"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	arenaSize = 64 << 10
	stackSize = 16 << 10
	maxSteps  = 64
)

// step is one system call of a child. The assembly knows its layout.
type step struct {
	number uintptr
	args   [6]uintptr
	result int64  // what the kernel returned: a negative errno from -4095 to -1
	ran    uint64 // 1 once the call has returned
	how    uint64
}

// byInterrupt makes the assembly issue a step by int 0x80 (amd64 only).
const byInterrupt = 1

// arena is memory outside of the Go heap, shared with the child whether or not it shares all
// other memory: first the steps, then what their arguments point to, at the end a stack.
type arena struct {
	memory []byte
	steps  int
	used   int
}

func newArena() (*arena, error) {
	memory, err := unix.Mmap(-1, 0, arenaSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, fmt.Errorf("map the memory of a child: %w", err)
	}
	return &arena{memory: memory, used: maxSteps * int(unsafe.Sizeof(step{}))}, nil
}

func (a *arena) free() error { return unix.Munmap(a.memory) }

func (a *arena) step(i int) *step { return &a.stepArray()[i] }

func (a *arena) stepArray() *[maxSteps]step {
	return (*[maxSteps]step)(unsafe.Pointer(&a.memory[0]))
}

// put copies data into the arena, aligned to 8 bytes, and returns its address.
func (a *arena) put(data []byte) (uintptr, error) {
	if a.used+len(data) > arenaSize-stackSize {
		return 0, fmt.Errorf("put %d bytes into the memory of a child: no room", len(data))
	}
	at := a.used
	copy(a.memory[at:], data)
	a.used = (at + len(data) + 7) &^ 7
	return uintptr(unsafe.Pointer(&a.memory[at])), nil
}

// add appends a call. An argument is a number, nil for 0, or what is given by its address: a
// string (with a NUL after it), bytes, an argv or a filter.
func (a *arena) add(c call) error {
	if a.steps == maxSteps || len(c.args) > 6 {
		return fmt.Errorf("add %s to the steps of a child: no room", c.name)
	}
	s := step{number: c.number, how: c.how}
	for i, arg := range c.args {
		var err error
		switch v := arg.(type) {
		case nil:
		case int:
			s.args[i] = uintptr(v)
		case uintptr:
			s.args[i] = v
		case string:
			s.args[i], err = a.put(append([]byte(v), 0))
		case []byte:
			s.args[i], err = a.put(v)
		case argv:
			s.args[i], err = a.putArgv(v)
		case filter:
			s.args[i], err = a.putFilter(v)
		default:
			err = fmt.Errorf("add %s: argument %d is a %T", c.name, i, arg)
		}
		if err != nil {
			return err
		}
	}
	*a.step(a.steps) = s
	a.steps++
	return nil
}

// argv is the arguments of execve(2).
type argv []string

func (a *arena) putArgv(words argv) (uintptr, error) {
	list := make([]byte, 0, 8*(len(words)+1))
	for _, word := range words {
		at, err := a.put(append([]byte(word), 0))
		if err != nil {
			return 0, err
		}
		list = binary.NativeEndian.AppendUint64(list, uint64(at))
	}
	return a.put(binary.NativeEndian.AppendUint64(list, 0))
}

// filter is a classic BPF program, as struct sock_fprog of seccomp(2).
type filter []unix.SockFilter

func (a *arena) putFilter(f filter) (uintptr, error) {
	code := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(f))), len(f)*int(unsafe.Sizeof(unix.SockFilter{})))
	at, err := a.put(code)
	if err != nil {
		return 0, err
	}
	header := binary.NativeEndian.AppendUint64(nil, uint64(len(f))) // unsigned short, then padding
	return a.put(binary.NativeEndian.AppendUint64(header, uint64(at)))
}
