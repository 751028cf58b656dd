package kernel

import (
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// timeAtExec executes a program in a child and compares its time namespace with ours. The
// program is the one that runs now, but traced: it stops at its first instruction, is looked
// at and killed, so it makes no difference which program it is.
func timeAtExec(flags uint64, calls ...call) (err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ours, err := namespaceID("self", "time")
	if err != nil {
		return absent(NotBuilt, "%v", err)
	}
	calls = append([]call{closeAll()}, calls...)
	calls = append(calls,
		do("ptrace", unix.SYS_PTRACE, unix.PTRACE_TRACEME),
		do("execve", unix.SYS_EXECVE, "/proc/self/exe", argv{"cellwall"}, nil))
	c, err := start(flags, 0, false, calls...)
	if err != nil {
		return refused(err, "CAP_SYS_ADMIN")
	}
	status, err := c.wait(unix.WUNTRACED)
	if err != nil {
		return errors.Join(fmt.Errorf("wait for execve: %w", err), c.close(true))
	}
	if !status.Stopped() {
		return errors.Join(refused(c.answer(status), "CAP_SYS_ADMIN"), c.close(true))
	}
	theirs, err := namespaceID(c.pid, "time")
	if err := errors.Join(err, c.close(false)); err != nil {
		return fmt.Errorf("look at a stopped child: %w", err)
	}
	if theirs == ours {
		return absent(NotBuilt, "execve stays in the old time namespace")
	}
	return nil
}
