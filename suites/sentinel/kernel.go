package sentinel

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
	"cellwall/suites/attack"
)

// kernelFiles are the file systems whose files are the kernel's own.
var kernelFiles = []int64{unix.PROC_SUPER_MAGIC, unix.SYSFS_MAGIC}

// writable lists the descriptors of a process through which it may write to procfs or sysfs. The
// kernel is asked, not the attacker: for the file system, and for the mode of opening.
func writable(pid int) ([]string, error) {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list descriptors of the attacker: %w", err)
	}
	var all []string
	for _, e := range entries {
		var st unix.Statfs_t
		fd := filepath.Join(dir, e.Name())
		if err := unix.Statfs(fd, &st); err != nil {
			return nil, fmt.Errorf("look at descriptor %s of the attacker: %w", e.Name(), err)
		}
		if !slices.Contains(kernelFiles, int64(st.Type)) {
			continue
		}
		info, err := os.ReadFile(fmt.Sprintf("/proc/%d/fdinfo/%s", pid, e.Name()))
		if err != nil {
			return nil, fmt.Errorf("look at descriptor %s of the attacker: %w", e.Name(), err)
		}
		flags, err := strconv.ParseUint(StatusField(string(info), "flags:"), 8, 32)
		if err != nil {
			return nil, fmt.Errorf("read flags of descriptor %s: %w", e.Name(), err)
		}
		if flags&unix.O_ACCMODE == unix.O_RDONLY || flags&unix.O_PATH != 0 {
			continue
		}
		name, err := os.Readlink(fd)
		if err != nil {
			return nil, fmt.Errorf("look at descriptor %s of the attacker: %w", e.Name(), err)
		}
		all = append(all, name)
	}
	return all, nil
}

// openForWrite begins the text of a try of attack.OpenForWrite; the path follows.
const openForWrite = "open for write "

// nothingWritable watches an attack that opens kernel files and holds with them.
func nothingWritable(target attack.Target, tries ...string) *Watch {
	var finding Finding
	return &Watch{
		Target: target,
		Hold: func(_ context.Context, _ string, a *Subject) error {
			open, err := writable(a.PID)
			finding = Finding{Breached: len(open) > 0, Evidence: "it has no kernel file open for writing"}
			if len(open) > 0 {
				finding.Evidence = fmt.Sprintf("it has %d kernel files open for writing: %.200s", len(open), strings.Join(open, ", "))
			}
			for _, t := range tries {
				path := strings.TrimPrefix(t, openForWrite)
				finding = finding.of(part{path, slices.ContainsFunc(open, func(name string) bool { return strings.HasSuffix(name, path) })})
			}
			return err
		},
		Look: func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
			if err := MustTry(r, tries...); err != nil {
				return Finding{}, err
			}
			return seen(finding)
		},
	}
}

// SysrqClosed has the attacker open the trigger of sysrq.
func SysrqClosed(*Stage) (*Watch, error) {
	const trigger = "/proc/sysrq-trigger"
	if _, err := os.Lstat(trigger); errors.Is(err, fs.ErrNotExist) {
		return nil, kernel.Unsupported("%s: this kernel has none (CONFIG_MAGIC_SYSRQ)", trigger)
	}
	return nothingWritable(attack.Target{Paths: []string{trigger}}, openForWrite+trigger), nil
}

// maxSysctls bounds how many sysctls the attacker keeps open besides those that are asked for by name.
const maxSysctls = 64

// SysctlsClosed has the attacker open all sysctls that no namespace covers. Some that have led to an escape
// are named, so that a control has to open them.
func SysctlsClosed(*Stage) (*Watch, error) {
	paths := []string{
		"/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe",
		"/proc/sys/vm/drop_caches", "/proc/sys/fs/file-max", "/proc/sys/fs/suid_dumpable",
	}
	// A kernel without modules or core dumps lacks some.
	paths = slices.DeleteFunc(paths, func(p string) bool { return !exists(p) })
	var tries []string
	for _, p := range paths {
		tries = append(tries, openForWrite+p)
	}
	return nothingWritable(attack.Target{Paths: paths, Count: maxSysctls}, tries...), nil
}

// maxSysfs bounds how many files of each directory of sysfs the attacker opens.
const maxSysfs = 4

// SysfsClosed has the attacker open what the kernel offers in sysfs.
func SysfsClosed(*Stage) (*Watch, error) {
	w := nothingWritable(attack.Target{Paths: []string{"/sys/kernel", "/sys/fs", "/sys/devices/system/cpu", "/sys/module"}, Count: maxSysfs})
	look := w.Look
	w.Look = func(ctx context.Context, a *Subject, r attack.Record) (Finding, error) {
		// Where there is no sysfs there is nothing to open, which the first look at it says.
		there := slices.ContainsFunc(r.Tries, func(t attack.Try) bool { return t.Call == "look at /sys/kernel" && t.Errno == 0 })
		if there && !Tried(r, openForWrite) {
			return Finding{}, errors.New("the attacker found no file of sysfs to open")
		}
		if !there && !Tried(r, "look at /sys/kernel") {
			return Finding{}, errors.New("the attacker did not get to sysfs")
		}
		return look(ctx, a, r)
	}
	return w, nil
}
