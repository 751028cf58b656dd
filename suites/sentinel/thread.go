package sentinel

import (
	"os/exec"
	"runtime"
)

// startLasting starts a program from a thread that lasts until the program is gone: its parent-death
// signal comes when the thread ends that made it (prctl(2), PR_SET_PDEATHSIG), and threads that have
// entered a namespace are thrown away.
func startLasting(cmd *exec.Cmd, gone <-chan struct{}) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			<-gone
		}
	}()
	return <-started
}
