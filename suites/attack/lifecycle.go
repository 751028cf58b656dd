package attack

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

var lifecycleAttacks = []Attack{
	Live,
	LeaveProcesses, strayChild, strayParent,
	RunFrozen, counterChild,
	KillCreated,
}

// Live does nothing but be there: what is tried is the runtime. It holds at the point
// Target.Name, if there is one.
var Live = Attack{Name: "lifecycle.live", Run: func(a *Attempt) {
	if a.Target.Name != "" {
		a.Hold(a.Target.Name)
	}
	a.Try("live", nil)
}}

// KillCreated is a hook on the host, of the OCI runtime-spec: it kills the init of the container whose
// state it is told, if that is in a cgroup with Target.Name in its name.
var KillCreated = Attack{Name: "lifecycle.failed-create-clean/hook", Run: func(a *Attempt) {
	var state struct {
		PID int `json:"pid"`
	}
	if json.NewDecoder(a.in).Decode(&state) != nil || state.PID <= 1 || a.Target.Name == "" {
		os.Exit(1)
	}
	fd, err := unix.PidfdOpen(state.PID, 0)
	if err != nil {
		os.Exit(1)
	}
	groups, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", state.PID))
	if err != nil || !strings.Contains(string(groups), "/"+a.Target.Name+"-") || unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) != nil {
		os.Exit(1)
	}
	// The runtime is to find it dead.
	_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 1000)
}}

// LeaveProcesses starts children that are hard to find again, holds, and ends without them.
// Target.For bounds how long they live.
var LeaveProcesses = Attack{Name: "lifecycle.no-process-left", Run: func(a *Attempt) {
	f, err := newFamily()
	if !a.Try("make pipes", err) {
		return
	}
	session := a.Again(strayChild)
	session.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	a.Try("start a child in a session of its own", f.start(session))
	parent := a.Again(strayParent)
	if a.Try("start the parent of an orphan", f.start(parent)) {
		a.Try("wait for the orphan's parent", parent.Wait())
	}
	stopped := a.Again(strayChild)
	if a.Try("start a child to stop", f.start(stopped)) {
		a.Try("stop it", stopped.Process.Signal(syscall.SIGSTOP))
	}
	traced := a.Again(strayChild)
	traced.SysProcAttr = &syscall.SysProcAttr{Ptrace: true} // it stays where execve has stopped it
	a.Try("start a traced child", f.start(traced))
	a.Hold("strays")
}}

// strayChild outlives whatever it was started by.
var strayChild = Attack{Name: "lifecycle.no-process-left/child", Run: func(a *Attempt) {
	time.Sleep(a.Target.For) //nolint:forbidigo // to be there is all it does
}}

var strayParent = Attack{Name: "lifecycle.no-process-left/parent", Run: func(a *Attempt) {
	child := a.Again(strayChild)
	child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	child.Stdin, child.Stdout, child.Stderr = os.Stdin, os.Stdout, os.Stderr
	if child.Start() != nil {
		os.Exit(1)
	}
}}
