package driver

import (
	"errors"
	"fmt"
	"os"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
	"cellwall/runtime/seccomp"
)

// compiled is the filter of a spec as bwrap reads it, nil for none. bwrap loads it by prctl(2), which
// knows no flags.
func compiled(s *specs.Spec) ([]byte, error) {
	if s.Linux.Seccomp == nil {
		return nil, nil
	}
	p, err := seccomp.Compile(s.Linux.Seccomp)
	if errors.Is(err, seccomp.ErrNotSupported) {
		return nil, kernel.Unsupported("linux.seccomp: %v", err)
	}
	if err != nil {
		return nil, fmt.Errorf("compile linux.seccomp: %w", err)
	}
	if p.Flags != 0 {
		return nil, kernel.Unsupported("bwrap sets no flags of a seccomp filter")
	}
	return p.Code(), nil
}

// inMemory is an open file with some content, at its start.
func inMemory(name string, content []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make a file in memory: %w", err)
	}
	f := os.NewFile(uintptr(fd), name)
	if _, err := f.WriteAt(content, 0); err != nil {
		return nil, errors.Join(fmt.Errorf("write %s: %w", name, err), f.Close())
	}
	return f, nil
}
