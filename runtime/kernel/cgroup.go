package kernel

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// What the kernel offers about cgroups. What the caller may use of them, and where they are
// mounted, is found out by the package cgroup.
var (
	CloneIntoCgroup = &Feature{
		Name: "clone3(2) CLONE_INTO_CGROUP", Since: Version{5, 7},
		probe: probeCloneIntoCgroup,
	}
	SwapAccounting = &Feature{
		Name: "swap accounting: memory.swap.max, memory.memsw.limit_in_bytes", Since: Version{2, 6},
		Remedy: "boot with swapaccount=1",
		probe:  probeSwapAccounting,
	}
	Pressure = &Feature{
		Name: "pressure stall information (PSI)", Since: Version{4, 20},
		Remedy: "boot with psi=1",
		probe: func() error {
			_, err := os.ReadFile("/proc/pressure/memory") // EOPNOTSUPP with psi=0
			return missing(err, NotBuilt, "")
		},
	}
)

// probeCloneIntoCgroup clones a child into the cgroup in which this process is already. Who
// may not write there, or sees none, learns only whether the kernel knows the flag.
func probeCloneIntoCgroup() error {
	if dir, err := ownCgroup2(); err == nil {
		err = run(unix.CLONE_INTO_CGROUP, uint64(dir.Fd()), false)
		if err := errors.Join(err, dir.Close()); !errors.Is(err, unix.EACCES) && !errors.Is(err, unix.EPERM) {
			return refused(err, "")
		}
	}
	dir, err := os.Open("/")
	if err != nil {
		return err
	}
	defer dir.Close() //nolint:errcheck // nothing was written
	err = run(unix.CLONE_INTO_CGROUP, uint64(dir.Fd()), false)
	if errors.Is(err, unix.EBADF) { // "/" is no cgroup: the flag was looked at
		return nil
	}
	return refused(err, "")
}

// ownCgroup2 opens the cgroup of this process in the hierarchy of version 2, where that is mounted. A
// mount of its own would take away the options that the whole hierarchy has, such as nsdelegate: whoever
// mounts it last in the first cgroup namespace sets them (apply_cgroup_root_flags).
func ownCgroup2() (*os.File, error) {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	path, ok := cgroup2Path(string(text))
	if !ok {
		return nil, absent(NotBuilt, "no cgroup2 in /proc/self/cgroup")
	}
	for _, mount := range cgroupMounts() {
		fd, err := unix.Open(filepath.Join(mount, path), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			continue
		}
		var fs unix.Statfs_t
		if unix.Fstatfs(fd, &fs) == nil && int64(fs.Type) == unix.CGROUP2_SUPER_MAGIC {
			return os.NewFile(uintptr(fd), path), nil
		}
		_ = unix.Close(fd) // version 1
	}
	return nil, absent(NotSetUp, "cgroup2 is not mounted")
}

// cgroup2Path finds "0::/path" among the lines of /proc/PID/cgroup, cgroups(7).
func cgroup2Path(text string) (string, bool) {
	for line := range strings.Lines(text) {
		if path, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::"); ok && strings.HasPrefix(path, "/") {
			return path, true
		}
	}
	return "", false
}

// probeSwapAccounting looks for the file itself in a group that has the memory controller. A
// host with version 2 may have no such group yet; then there is no answer.
func probeSwapAccounting() error { return swapAccounted(cgroupMounts()) }

func swapAccounted(mounts []string) error {
	seen := false
	for _, mount := range mounts {
		for _, pair := range []struct{ sign, file string }{
			{sign: "memory.limit_in_bytes", file: "memory.memsw.limit_in_bytes"},
			{sign: "memory.max", file: "memory.swap.max"}, // the root of a cgroup namespace
			{sign: "*/memory.max", file: "*/memory.swap.max"},
		} {
			signs, _ := filepath.Glob(filepath.Join(mount, pair.sign))
			files, _ := filepath.Glob(filepath.Join(mount, pair.file))
			if len(files) > 0 {
				return nil
			}
			seen = seen || len(signs) > 0
		}
	}
	if !seen {
		return errors.New("no cgroup with the memory controller to look at")
	}
	return absent(NotBuilt, "memory cgroups have no file for swap")
}

// cgroupMounts returns where cgroup file systems of either version are mounted.
func cgroupMounts() []string {
	text, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return nil
	}
	var mounts []string
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) > 2 && (fields[2] == "cgroup" || fields[2] == "cgroup2") {
			mounts = append(mounts, fields[1])
		}
	}
	return mounts
}

// Controller asks whether the kernel has a cgroup controller under its name in cgroups(7),
// "memory", and has not disabled it by cgroup_disable=. It does not ask whether the caller
// may use it. Answers as for a Feature; nothing is remembered.
func Controller(name string) error {
	text, err := os.ReadFile("/proc/cgroups")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cgroup controller %s: %w", name, err)
	}
	enabled, known := controllers(string(text))[name]
	if enabled {
		return nil
	}
	// A kernel without version 1 of a controller need not list it there (6.11).
	for _, mount := range cgroupMounts() {
		text, err := os.ReadFile(filepath.Join(mount, "cgroup.controllers"))
		if err == nil && hasWord(string(text), name) {
			return nil
		}
	}
	if known {
		return fmt.Errorf("cgroup controller %s: %w", name, absent(Policy, "disabled by cgroup_disable="))
	}
	return fmt.Errorf("cgroup controller %s: %w", name, absent(NotBuilt, "not in /proc/cgroups"))
}

// controllers reads /proc/cgroups: a name, two numbers and whether it is enabled, a line.
func controllers(text string) map[string]bool {
	all := make(map[string]bool)
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 4 && !strings.HasPrefix(line, "#") {
			all[fields[0]] = fields[3] == "1"
		}
	}
	return all
}

func hasWord(text, word string) bool {
	for field := range strings.FieldsSeq(text) {
		if field == word {
			return true
		}
	}
	return false
}
