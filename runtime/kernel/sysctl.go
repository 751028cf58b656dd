package kernel

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// Sysctl returns the value of a sysctl, such as "kernel.yama.ptrace_scope", without its last
// newline. The error wraps ErrNotSupported where this kernel has no such sysctl.
func Sysctl(name string) (string, error) {
	if name == "" || strings.ContainsAny(name, "/\x00") {
		return "", fmt.Errorf("read sysctl %q: not a name", name)
	}
	data, err := os.ReadFile("/proc/sys/" + strings.ReplaceAll(name, ".", "/"))
	if errors.Is(err, fs.ErrNotExist) {
		return "", absent(NotBuilt, "no sysctl %s", name)
	}
	if err != nil {
		return "", fmt.Errorf("read sysctl %s: %w", name, err)
	}
	return strings.TrimSuffix(string(data), "\n"), nil
}

// SysctlInt returns a sysctl whose value is one number. Errors as for Sysctl.
func SysctlInt(name string) (int, error) {
	text, err := Sysctl(name)
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil {
		return 0, fmt.Errorf("read sysctl %s: %w", name, err)
	}
	return n, nil
}

func readInt(path string) (int, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", path, err)
	}
	return n, nil
}
