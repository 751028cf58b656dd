package attack

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Inherited asks the harness for the descriptors that this trial passes in on purpose: a stand-in
// for those that a careless launcher leaves open. The socket lies at Target.Path in the root
// directory. It notes the try and returns none if that failed.
func (a *Attempt) Inherited() []int {
	fds, err := receive(a.Inside(a.Target.Path))
	if err == nil && len(fds) == 0 {
		err = unix.EBADF
	}
	a.Try("receive descriptors", err)
	return fds
}

func receive(path string) ([]int, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd) //nolint:errcheck // nothing was written
	const longest = 107  // sun_path of unix(7), without its NUL
	if len(path) > longest {
		// Only in the host's root directory, where there is a procfs.
		file, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil, err
		}
		defer unix.Close(file) //nolint:errcheck // nothing was written
		path = fmt.Sprintf("/proc/self/fd/%d", file)
	}
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		return nil, err
	}
	const most = 16
	oob := make([]byte, unix.CmsgSpace(4*most))
	_, n, _, _, err := unix.Recvmsg(fd, make([]byte, 1), oob, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return nil, err
	}
	messages, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil || len(messages) != 1 {
		return nil, errors.Join(err, unix.EBADMSG)
	}
	return unix.ParseUnixRights(&messages[0])
}

// id is what the attacker calls a host uid: user namespaces have names of their own for them. One
// that its namespace has no name for stays as it is.
func id(host uint32) int {
	b, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		return int(host) // no procfs, no namespaces: the rungs below
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) != 3 {
			continue
		}
		inside, _ := strconv.Atoi(f[0])
		outside, _ := strconv.Atoi(f[1])
		count, _ := strconv.Atoi(f[2])
		if n := int(host) - outside; n >= 0 && n < count {
			return inside + n
		}
	}
	return int(host)
}
