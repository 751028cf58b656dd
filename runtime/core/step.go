package core

import (
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

// Step is one system call of a plan.
type Step struct {
	// ID is the stable name by which an edit leaves the step out. Several steps share one if
	// they make sense only together.
	ID string
	// Text says what the step does, as it stands in an error: "mount proc on /proc (nosuid)".
	Text string
	// Barrier is the wall that the step builds; empty for plumbing.
	Barrier string

	number uintptr
	args   []arg // at most six
	// min is the smallest result that is a success: 0 for most, 1 for a read or write of one
	// byte, where a short result means that the other side is gone.
	min int
	// out is the slot that keeps the result, or 0.
	out slot
	// tolerate lists errors that are none; after one of them the next skip steps are skipped.
	tolerate []unix.Errno
	skip     int
	// then is how many steps are skipped after a success.
	then int
}

// slot is a place for the result of a step, used as an argument of later ones.
type slot int

// arg is an argument in symbolic form: load gives it its value.
type arg struct {
	kind  argKind
	value uintptr  // of a number, what is added to a handle, or the slot of a result
	text  string   // of a text, or the name of a handle
	list  []string // of a vector
	data  []byte   // of memory, of a filter and of control messages
}

type argKind uint8

const (
	argNumber    argKind = iota
	argText              // a NUL-terminated string
	argVector            // a NULL-terminated list of strings
	argMemory            // a structure
	argFilter            // a struct sock_fprog over data
	argResult            // the value in a slot
	argAncillary         // a struct msghdr of nothing but control messages
	argHandle            // a descriptor of the launcher
)

// Handle names a descriptor that the launcher holds while the plan runs.
type Handle string

// The handles of every plan. The v1 task files of the container's cgroup follow as TasksHandle.
const (
	Stdin  Handle = "stdin"
	Stdout Handle = "stdout"
	Stderr Handle = "stderr"
	// Line is the child's end of a socket pair: reports go out, and a byte comes in when the
	// child may go on.
	Line Handle = "line"
	// Target is the pidfd of the container that an exec joins.
	Target Handle = "target"
	// Root is the root directory of the container that an exec joins.
	Root Handle = "root"
)

func num[T ~int | ~uint | ~uint32 | ~uint64 | ~uintptr | ~int32](v T) arg {
	return arg{kind: argNumber, value: uintptr(v)}
}
func str(s string) arg           { return arg{kind: argText, text: s} }
func vec(list []string) arg      { return arg{kind: argVector, list: list} }
func mem(b []byte) arg           { return arg{kind: argMemory, data: b} }
func prog(b []byte) arg          { return arg{kind: argFilter, data: b} }
func from(s slot) arg            { return arg{kind: argResult, value: uintptr(s)} }
func fd(h Handle) arg            { return arg{kind: argHandle, text: string(h)} }
func beside(h Handle, n int) arg { return arg{kind: argHandle, text: string(h), value: uintptr(n)} }
func ancillary(b []byte) arg     { return arg{kind: argAncillary, data: b} }
func null() arg                  { return arg{} }
func cwd() arg                   { return num(int(unix.AT_FDCWD)) }
func calls(args ...arg) []arg    { return args }

// StepError says which step of a plan did not succeed.
type StepError struct {
	Step         Step
	Index, Count int
	Result       int64 // what the kernel returned: a negative errno, or a count that is too small
}

func (e *StepError) Error() string {
	return fmt.Sprintf("%s: %v (step %d of %d)", e.Step.Text, e.Unwrap(), e.Index+1, e.Count)
}

// Unwrap returns the errno, or io.ErrUnexpectedEOF for a short result.
func (e *StepError) Unwrap() error {
	if e.Result < 0 {
		return unix.Errno(-e.Result)
	}
	return io.ErrUnexpectedEOF
}
