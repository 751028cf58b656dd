package kernel

import (
	"errors"

	"golang.org/x/sys/unix"
)

// What a process can take from itself.
var (
	NoNewPrivs = &Feature{
		Name: "prctl(2) PR_SET_NO_NEW_PRIVS", Since: Version{3, 5},
		probe: func() error {
			one := noNewPrivs()
			one.asked = true
			return refused(inChild(0, one), "")
		},
	}
	Seccomp = &Feature{
		Name: "seccomp(2) SECCOMP_SET_MODE_FILTER", Since: Version{3, 17},
		Remedy: "the kernel needs CONFIG_SECCOMP_FILTER",
		probe:  func() error { return withFilter(0) },
	}
	SeccompTsync = &Feature{
		Name: "seccomp(2) SECCOMP_FILTER_FLAG_TSYNC", Since: Version{3, 17},
		Remedy: "the kernel needs CONFIG_SECCOMP_FILTER",
		probe:  func() error { return withFilter(unix.SECCOMP_FILTER_FLAG_TSYNC) },
	}
	SeccompNotify = &Feature{
		Name: "seccomp(2) SECCOMP_FILTER_FLAG_NEW_LISTENER", Since: Version{5, 0},
		Remedy: "the kernel needs CONFIG_SECCOMP_FILTER",
		probe:  func() error { return withFilter(unix.SECCOMP_FILTER_FLAG_NEW_LISTENER) },
	}
	LandlockFS = &Feature{
		Name: "landlock(7): file system", Since: Version{5, 13},
		Remedy: landlockRemedy, probe: landlockFrom(1),
	}
	LandlockNet = &Feature{
		Name: "landlock(7): TCP ports (ABI 4)", Since: Version{6, 7},
		Remedy: landlockRemedy, probe: landlockFrom(4),
	}
	LandlockScope = &Feature{
		Name: "landlock(7): abstract UNIX sockets and signals (ABI 6)", Since: Version{6, 12},
		Remedy: landlockRemedy, probe: landlockFrom(6),
	}
	Keyrings = &Feature{
		Name: "keyctl(2)", Since: Version{2, 6},
		Remedy: "the kernel needs CONFIG_KEYS",
		probe: func() error {
			// Asks for the id of the session keyring and does not make one.
			_, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_SESSION_KEYRING, false)
			if errors.Is(err, unix.ENOKEY) {
				return nil
			}
			return refused(err, "")
		},
	}
)

const landlockRemedy = "put landlock into the boot parameter lsm=; the kernel needs CONFIG_SECURITY_LANDLOCK"

func noNewPrivs() call {
	return do("no_new_privs", unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
}

// withFilter installs a filter that allows everything.
func withFilter(flags int) error {
	allow := filter{{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW}}
	return refused(inChild(0, noNewPrivs(),
		ask("seccomp", unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, allow)), "")
}

// LandlockABI returns the version of Landlock, from 1. The error wraps ErrNotSupported where
// the kernel has none, or has not made it active, which landlock(7) calls disabled.
func LandlockABI() (int, error) {
	abi, _, errno := unix.RawSyscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	switch errno {
	case 0:
		return int(abi), nil
	case unix.EOPNOTSUPP:
		return 0, absent(Policy, "built, but not among the active LSMs")
	}
	return 0, refused(errno, "")
}

func landlockFrom(least int) func() error {
	return func() error {
		abi, err := LandlockABI()
		if err != nil {
			return err
		}
		if abi < least {
			return absent(NotBuilt, "the ABI is %d", abi)
		}
		return nil
	}
}
