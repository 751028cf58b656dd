package kernel

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// refused turns the errno of a question into an answer. The capability is the one that the
// call wants, "" if none: holding it makes a refusal a matter of policy. An error without an
// errno, and an errno that is no refusal (EMFILE, ENOMEM), stays what it is: could not tell.
func refused(err error, capability string) error {
	var errno unix.Errno
	if err == nil || errors.Is(err, ErrNotSupported) || !errors.As(err, &errno) {
		return err
	}
	switch errno {
	case unix.ENOSYS, unix.EINVAL, unix.ENODEV, unix.EOPNOTSUPP, unix.EAFNOSUPPORT, unix.EPROTONOSUPPORT,
		unix.ESOCKTNOSUPPORT, unix.ENOPROTOOPT, unix.ENOTTY, unix.EBADRQC:
		return absent(NotBuilt, "%v", err)
	case unix.ENOSPC, unix.EUSERS:
		return absent(Policy, "%v: a limit is reached", err)
	case unix.EPERM, unix.EACCES:
		if capability == "" {
			return absent(Policy, "%v", err)
		}
		if holds(capability) {
			return absent(Policy, "%v, although %s is held", err, capability)
		}
		return absent(NoPrivilege, "%v: needs %s", err, capability)
	}
	return err
}

// holds reports whether the calling thread has a capability in effect.
func holds(capability string) bool {
	status, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		return false
	}
	set, err := capabilitySet(string(status), "CapEff")
	n, known := CapabilityNumber(capability)
	return err == nil && known && set&(1<<n) != 0
}

// missing turns a failed look at a file into an answer: without the file the feature is
// absent for the cause given. The capability is the one that opens the file, as in refused.
func missing(err error, cause Cause, capability string) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.EOPNOTSUPP) {
		return absent(cause, "%v", err)
	}
	return refused(err, capability)
}
