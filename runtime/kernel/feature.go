// Package kernel says what the running kernel and host offer, by trying.
//
// A version is never the reason for an answer. Do not use it to find out what a container may
// do: it asks for the calling process.
package kernel

import (
	"errors"
	"fmt"
	"sync"
)

// ErrNotSupported is wrapped by a gate whose feature the kernel or the host lacks. Every other
// error means that the gate could not tell.
var ErrNotSupported = errors.New("not supported")

// Unsupported returns an error that wraps ErrNotSupported and gives the reason.
func Unsupported(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrNotSupported, fmt.Sprintf(format, args...))
}

// Feature is a gate: something that the kernel or the host offers, or not.
type Feature struct {
	// Name is the interface, as its manual names it: "pidfd_open(2)".
	Name string
	// Since is the first mainline release that has it. It never decides; it cross-checks.
	Since Version
	// Remedy is what a user can do to get it: "boot with psi=1". Empty where only another
	// kernel or machine helps.
	Remedy string

	probe func() error

	mu     sync.Mutex
	known  bool
	answer error
}

// Check returns nil where the feature is there, an error that wraps ErrNotSupported where it
// is not, and any other error where it could not tell. Only the first two are remembered.
func (f *Feature) Check() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.known {
		return f.answer
	}
	err := f.probe()
	if err != nil {
		err = fmt.Errorf("%s: %w", f.Name, err)
	}
	if err == nil || errors.Is(err, ErrNotSupported) {
		f.known, f.answer = true, err
	}
	return err
}
