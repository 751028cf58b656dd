package load

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// breed makes tasks that wait, as many as its count says, and keeps them. Where one is refused it tries
// again each millisecond, so that what others give back is taken at once. An operation is a task that was
// made. It is at work when one was refused or it has all.
func breed(w *worker) (err error) {
	var in [2]int
	if err := unix.Pipe2(in[:], unix.O_CLOEXEC); err != nil {
		return fmt.Errorf("make a pipe: %w", err)
	}
	var made []int
	defer func() {
		err = errors.Join(err, unix.Close(in[1])) // with which all end
		for _, pid := range made {
			_, waited := unix.Wait4(pid, nil, 0, nil)
			err = errors.Join(err, waited)
		}
	}()
	path := inside("/" + Idle)
	for w.on() {
		if int64(len(made)) >= w.Count {
			w.atWork()
			w.pause(tick)
			continue
		}
		pid, err := syscall.ForkExec(path, []string{path}, &syscall.ProcAttr{Files: []uintptr{uintptr(in[0]), 2, 2}})
		switch {
		case errors.Is(err, unix.EAGAIN):
			w.refused()
			w.atWork()
			w.pause(time.Millisecond)
		case err != nil:
			return fmt.Errorf("start %s: %w", path, err)
		default:
			made = append(made, pid)
			w.done().Add(1)
		}
	}
	return nil
}
