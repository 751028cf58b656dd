package kernel

import (
	"errors"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// The modes of kernel_lockdown(7).
const (
	LockdownNone            = "none"
	LockdownIntegrity       = "integrity"
	LockdownConfidentiality = "confidentiality"
	LockdownUnknown         = "unknown" // securityfs is not to be had, or speaks differently
)

const securityfs = "/sys/kernel/security"

// Lockdown returns the kernel's lockdown mode: none, integrity, confidentiality or unknown.
// Where securityfs is not mounted it is looked at through a mount of its own, attached to no
// directory of any namespace, which wants CAP_SYS_ADMIN.
func Lockdown() string {
	dir, err := openSecurityfs()
	if err != nil {
		return LockdownUnknown
	}
	defer dir.Close() //nolint:errcheck // nothing was written
	return lockdownBelow(dir)
}

func lockdownBelow(dir *os.File) string {
	fd, err := unix.Openat(int(dir.Fd()), "lockdown", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) {
		return LockdownNone // this kernel runs without the lockdown LSM
	}
	if err != nil {
		return LockdownUnknown
	}
	f := os.NewFile(uintptr(fd), securityfs+"/lockdown")
	defer f.Close() //nolint:errcheck // nothing was written
	text, err := io.ReadAll(io.LimitReader(f, 4096))
	if err != nil {
		return LockdownUnknown
	}
	return parseLockdown(string(text))
}

// parseLockdown reads "none [integrity] confidentiality", where the brackets mark the mode.
func parseLockdown(text string) string {
	for word := range strings.FieldsSeq(text) {
		mode := strings.TrimSuffix(strings.TrimPrefix(word, "["), "]")
		if word != "["+mode+"]" {
			continue
		}
		switch mode {
		case LockdownNone, LockdownIntegrity, LockdownConfidentiality:
			return mode
		}
	}
	return LockdownUnknown
}

// openSecurityfs opens the root of securityfs, mounted or not.
func openSecurityfs() (*os.File, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(securityfs, &st); err == nil && int64(st.Type) == unix.SECURITYFS_MAGIC {
		return os.OpenFile(securityfs, os.O_RDONLY|unix.O_DIRECTORY, 0)
	}
	return detachedMount("securityfs")
}
