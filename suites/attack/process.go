package attack

import (
	"fmt"

	"golang.org/x/sys/unix"
)

var processAttacks = []Attack{
	SignalHost,
	OwnNamespaces,
}

// SignalHost sends signals to Target.PID by every call that takes a pid.
var SignalHost = Attack{Name: "process.signal-host", Run: func(a *Attempt) {
	pid := a.Target.PID
	a.Try(fmt.Sprintf("kill %d SIGUSR1", pid), unix.Kill(pid, unix.SIGUSR1))
	a.Try(fmt.Sprintf("tgkill %d SIGUSR1", pid), unix.Tgkill(pid, pid, unix.SIGUSR1))
	fd, err := unix.PidfdOpen(pid, 0)
	if a.Try(fmt.Sprintf("pidfd_open %d", pid), err) {
		a.Try("pidfd_send_signal SIGUSR1", unix.PidfdSendSignal(fd, unix.SIGUSR1, nil, 0))
	}
}}

// OwnNamespaces holds, so that the harness can look at the namespaces it is in.
var OwnNamespaces = Attack{Name: "process.own-namespaces", Run: func(a *Attempt) {
	a.Hold("namespaces")
	a.Try("readlink /proc/self/ns", nil)
}}
