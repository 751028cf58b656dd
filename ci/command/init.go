package command

import (
	"errors"
	"fmt"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// UnderInit has a child of the same arguments do the work, and returns its exit code. It is for the first
// process of a pid namespace, as which a container may start cellwall: the orphans of all others fall to
// that one, and who did not make them takes them for something that was left behind.
func UnderInit() int {
	ends := Ends()
	signals := make(chan os.Signal, len(ends)) // one of each
	signal.Notify(signals, ends...)
	self, err := os.Executable()
	if err != nil {
		return initFailed(err)
	}
	child, err := os.StartProcess(self, os.Args, &os.ProcAttr{Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}})
	if err != nil {
		return initFailed(err)
	}
	go func() {
		// Also an interrupt that the child has from a terminal already: it takes the second for none, and who signals
		// the first process alone, as docker kill does, means the child.
		for s := range signals {
			_ = child.Signal(s) // it may have ended
		}
	}()
	for {
		var status unix.WaitStatus
		switch pid, err := unix.Wait4(-1, &status, 0, nil); {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return initFailed(err)
		case pid == child.Pid && status.Signaled():
			return 128 + int(status.Signal()) // as a shell says it
		case pid == child.Pid:
			return status.ExitStatus()
		}
	}
}

func initFailed(err error) int {
	fmt.Fprintf(os.Stderr, "cellwall: be the first process of a pid namespace: %v\n", err)
	return exitInconclusive
}
