package attack

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Unwalled is the Target.Extra with which an attacker leaves out the part of its Landlock ruleset
// that it attacks.
const Unwalled = "unwalled"

// The bits of struct landlock_ruleset_attr, of linux/landlock.h.
const (
	landlockMakeChar   = 1 << 6 // handled_access_fs: a ruleset must handle something
	landlockBindTCP    = 1 << 0 // handled_access_net
	landlockConnectTCP = 1 << 1
	landlockAbstract   = 1 << 0 // scoped
	landlockSignal     = 1 << 1
)

// domain puts the calling thread, which it locks, into a Landlock domain, as the program would be
// put that a careful launcher starts. No OCI runtime has a field for it.
func (a *Attempt) domain(network, scoped uint64) bool {
	runtime.LockOSThread()
	if a.Target.Extra == Unwalled {
		network, scoped = 0, 0
	}
	attr := binary.NativeEndian.AppendUint64(nil, landlockMakeChar)
	attr = binary.NativeEndian.AppendUint64(attr, network)
	if scoped != 0 { // kernels before 6.12 know a shorter one
		attr = binary.NativeEndian.AppendUint64(attr, scoped)
	}
	ruleset, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr[0])), uintptr(len(attr)), 0)
	if !a.Try("landlock_create_ruleset", asError(errno)) {
		return false
	}
	a.Try("prctl PR_SET_NO_NEW_PRIVS", unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
	_, _, errno = unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, ruleset, 0, 0)
	return a.Try("landlock_restrict_self", asError(errno))
}

// LandlockScope signals Target.PID and connects to the abstract socket Target.Name, from a domain
// whose scope they are not in.
var LandlockScope = Attack{Name: "ipc.landlock-scope", Run: func(a *Attempt) {
	if !a.domain(0, landlockAbstract|landlockSignal) {
		return
	}
	a.Try("kill SIGUSR1", unix.Kill(a.Target.PID, unix.SIGUSR1))
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if a.Try("socket AF_UNIX", err) {
		a.Try("connect @"+a.Target.Name, unix.Connect(fd, &unix.SockaddrUnix{Name: "@" + a.Target.Name}))
	}
}}

// LandlockTCP connects to Target.Port and listens on the port Target.Key, from a domain that
// allows no port, and holds.
var LandlockTCP = Attack{Name: "net.landlock-tcp", Run: func(a *Attempt) {
	if !a.domain(landlockBindTCP|landlockConnectTCP, 0) {
		return
	}
	loopback := [4]byte{127, 0, 0, 1}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if a.Try("socket to connect", err) {
		a.Try(fmt.Sprintf("connect to port %d", a.Target.Port), unix.Connect(fd, &unix.SockaddrInet4{Port: a.Target.Port, Addr: loopback}))
	}
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if a.Try("socket to listen", err) && a.Try(fmt.Sprintf("bind port %d", a.Target.Key), unix.Bind(fd, &unix.SockaddrInet4{Port: a.Target.Key, Addr: loopback})) {
		a.Try("listen", unix.Listen(fd, 1))
	}
	a.Hold("listening")
}}
