package attack

import (
	"fmt"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

var processAttacks = slices.Concat([]Attack{
	SignalHost,
	OwnNamespaces,
}, processHostAttacks, processLifeAttacks)

// SignalHost sends signals to Target.PID by every call that takes a pid.
var SignalHost = Attack{Name: "process.signal-host", Run: func(a *Attempt) {
	pid := a.Target.PID
	a.Try(fmt.Sprintf("kill %d SIGUSR1", pid), unix.Kill(pid, unix.SIGUSR1))
	a.Try(fmt.Sprintf("tgkill %d SIGUSR1", pid), unix.Tgkill(pid, pid, unix.SIGUSR1))
	a.Try(fmt.Sprintf("rt_sigqueueinfo %d SIGUSR2", pid), queueSignal(pid, unix.SIGUSR2))
	a.Try(fmt.Sprintf("fcntl F_SETOWN %d", pid), ownSignal(pid))
	fd, err := unix.PidfdOpen(pid, 0)
	if a.Try(fmt.Sprintf("pidfd_open %d", pid), err) {
		a.Try("pidfd_send_signal SIGALRM", unix.PidfdSendSignal(fd, unix.SIGALRM, nil, 0))
	}
}}

// queueSignal is rt_sigqueueinfo(2) with the code of sigqueue(3): the kernel lets nobody pretend
// to another process that a signal came from kill(2) or from itself.
func queueSignal(pid int, sig unix.Signal) error {
	const queued = -1 // SI_QUEUE
	info := [128]byte{}
	*(*int32)(unsafe.Pointer(&info[0])) = int32(sig)
	*(*int32)(unsafe.Pointer(&info[8])) = queued
	_, _, errno := unix.Syscall(unix.SYS_RT_SIGQUEUEINFO, uintptr(pid), uintptr(sig), uintptr(unsafe.Pointer(&info[0])))
	return asError(errno)
}

// ownSignal makes a process the owner of a socket, so that the kernel itself sends it SIGIO for
// what arrives there.
func ownSignal(pid int) error {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(pair[0]) //nolint:errcheck // nothing was kept
	defer unix.Close(pair[1]) //nolint:errcheck // nothing was kept
	if _, err := unix.FcntlInt(uintptr(pair[0]), unix.F_SETOWN, pid); err != nil {
		return err
	}
	if _, err := unix.FcntlInt(uintptr(pair[0]), unix.F_SETFL, unix.O_ASYNC); err != nil {
		return err
	}
	_, err = unix.Write(pair[1], []byte{0})
	return err
}

// OwnNamespaces holds, so that the harness can look at the namespaces it is in.
var OwnNamespaces = Attack{Name: "process.own-namespaces", Run: func(a *Attempt) {
	a.Hold("namespaces")
	a.Try("readlink /proc/self/ns", nil)
}}
