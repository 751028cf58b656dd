package attack

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// Neighbours are parts of attacks that the harness runs on the host, as another user of what an
// attack takes. What each says on its standard output is one line: "ok", or the errno's name.

// become gives a neighbour a uid and gid without any right.
func become(uid uint32) error {
	if uid == 0 {
		return errors.New("a neighbour is not root")
	}
	if err := syscall.Setgroups(nil); err != nil {
		return err
	}
	if err := syscall.Setresgid(int(uid), int(uid), int(uid)); err != nil {
		return err
	}
	return syscall.Setresuid(int(uid), int(uid), int(uid))
}

// say prints what a call answered.
func say(err error) {
	var errno unix.Errno
	switch {
	case err == nil:
		fmt.Println("ok")
	case errors.As(err, &errno):
		fmt.Println(unix.ErrnoName(errno))
	default:
		fmt.Println(err)
	}
}
