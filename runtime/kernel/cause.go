package kernel

import (
	"errors"
	"fmt"
)

// Cause says why a feature is absent, so that a reader knows who can change it.
type Cause string

// The causes. A gate that names none means NotBuilt.
const (
	NotBuilt    Cause = "not built"    // the kernel is too old or was configured without it
	NoPrivilege Cause = "no privilege" // this process lacks a capability
	Policy      Cause = "policy"       // a sysctl, a boot parameter, lockdown or an LSM forbids it
	NotSetUp    Cause = "not set up"   // the administrator has not provided it: swap, huge pages
	Hardware    Cause = "hardware"     // the machine has none
)

// absence is the error of a gate whose feature is not there.
type absence struct {
	cause Cause
	why   string
}

func (a *absence) Error() string {
	return fmt.Sprintf("%v (%s): %s", ErrNotSupported, a.cause, a.why)
}

func (a *absence) Unwrap() error { return ErrNotSupported }

func absent(cause Cause, format string, args ...any) error {
	return &absence{cause: cause, why: fmt.Sprintf(format, args...)}
}

// CauseOf returns why a gate's feature is absent, and "" for an error that does not say that.
func CauseOf(err error) Cause {
	var a *absence
	switch {
	case errors.As(err, &a):
		return a.cause
	case errors.Is(err, ErrNotSupported):
		return NotBuilt
	}
	return ""
}
