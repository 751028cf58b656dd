package attack

import (
	"encoding/json"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

var syscallAttacks = []Attack{
	RiskyCalls,
	UnknownCall,
	HiddenArguments,
	MatchRules,
}

// Call is a system call with literal arguments.
type Call struct {
	Name   string     `json:"-"`
	Number uintptr    `json:"number"`
	Args   [6]uintptr `json:"args"`
}

func (c Call) raw() unix.Errno {
	_, _, errno := unix.RawSyscall6(c.Number, c.Args[0], c.Args[1], c.Args[2], c.Args[3], c.Args[4], c.Args[5])
	return errno
}

// listed are the calls in Target.Extra, as JSON.
func (a *Attempt) listed() (calls []Call, ok bool) {
	err := json.Unmarshal([]byte(a.Target.Extra), &calls)
	return calls, a.Try("read the list of calls", err)
}

func (a *Attempt) call(c Call) { a.Try(c.Name, asError(c.raw())) }

// AddrNoRandomize is ADDR_NO_RANDOMIZE of personality(2).
const AddrNoRandomize = 0x0040000

// Risky are the calls of RiskyCalls: they reach what no namespace covers. All are harmless as
// they are made here: on the caller itself, or with arguments that are no good.
func Risky() []Call {
	self := uintptr(unix.Getpid())
	process := ^uintptr(1) // KEY_SPEC_PROCESS_KEYRING, -2: it ends with the process
	return []Call{
		{Name: "keyctl", Number: unix.SYS_KEYCTL, Args: [6]uintptr{unix.KEYCTL_GET_KEYRING_ID, process, 1}},
		{Name: "add_key", Number: unix.SYS_ADD_KEY, Args: [6]uintptr{literal("user\x00"), literal("cellwall\x00"), literal("x\x00"), 1, process}},
		{Name: "userfaultfd", Number: unix.SYS_USERFAULTFD, Args: [6]uintptr{unix.O_CLOEXEC}},
		{Name: "userfaultfd user-mode", Number: unix.SYS_USERFAULTFD, Args: [6]uintptr{unix.O_CLOEXEC | 1}},
		{Name: "personality", Number: unix.SYS_PERSONALITY, Args: [6]uintptr{AddrNoRandomize}},
		{Name: "kcmp", Number: unix.SYS_KCMP, Args: [6]uintptr{self, self, 1}}, // KCMP_VM
		{Name: "move_pages", Number: unix.SYS_MOVE_PAGES, Args: [6]uintptr{0, 0}},
		{Name: "open_by_handle_at", Number: unix.SYS_OPEN_BY_HANDLE_AT, Args: [6]uintptr{^uintptr(0), literal("\x00\x00\x00\x00\x00\x00\x00\x00"), 0}},
	}
}

// literal is the address of constant bytes, which never move.
func literal(s string) uintptr { return uintptr(unsafe.Pointer(unsafe.StringData(s))) }

// RiskyCalls makes every one of Risky, and then, behind a filter of its own that has the kernel make
// none of them, the calls in Target.Extra.
var RiskyCalls = Attack{Name: "syscall.risky-calls", Run: func(a *Attempt) {
	for _, c := range Risky() {
		a.call(c)
	}
	calls, ok := a.listed()
	if !ok || !a.Try("stop calls that pass the filter", stopMarked(calls)) {
		return
	}
	for _, c := range calls {
		c.raw()
	}
}}

// UnknownNumber is a system call that no kernel before 6.19 has (listns, without arguments).
const UnknownNumber = 470

// UnknownCall makes a call that is newer than the profile.
var UnknownCall = Attack{Name: "syscall.unknown-enosys", Run: func(a *Attempt) {
	a.call(Call{Name: fmt.Sprintf("system call %d", UnknownNumber), Number: UnknownNumber})
}}

const (
	// HighBits lies above the 32 bits that the kernel looks at.
	HighBits  = 1 << 32
	tiocLinux = 0x541c // TIOCLINUX of asm-generic/ioctls.h
)

// Hidden are the calls of HiddenArguments: each would be refused for one argument, and the kernel
// cuts that to 32 bits. Standard input is a pipe, so that no terminal is typed into.
func Hidden() []Call {
	return []Call{
		{Name: "ioctl TIOCSTI", Number: unix.SYS_IOCTL, Args: [6]uintptr{0, HighBits | unix.TIOCSTI}},
		{Name: "ioctl TIOCLINUX", Number: unix.SYS_IOCTL, Args: [6]uintptr{0, HighBits | tiocLinux}},
		{Name: "socket AF_VSOCK", Number: unix.SYS_SOCKET, Args: [6]uintptr{HighBits | unix.AF_VSOCK, unix.SOCK_STREAM}},
		{Name: "personality ADDR_NO_RANDOMIZE", Number: unix.SYS_PERSONALITY, Args: [6]uintptr{HighBits | AddrNoRandomize}},
	}
}

// HiddenArguments makes every one of Hidden.
var HiddenArguments = Attack{Name: "syscall.args-64bit", Run: func(a *Attempt) {
	for _, c := range Hidden() {
		a.call(c)
	}
}}

// MatchRules makes the calls in Target.Extra: all are getppid(2), which takes no notice of arguments.
var MatchRules = Attack{Name: "syscall.rule-matrix", Run: func(a *Attempt) {
	calls, ok := a.listed()
	if !ok {
		return
	}
	for _, c := range calls {
		c.raw()
	}
}}
