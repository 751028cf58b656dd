package attack

import (
	"bufio"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
)

var leakAttacks = []Attack{
	CgroupPath,
	LauncherEnvironment,
	KernelAddresses,
}

// CgroupPath returns what its procfs says of its own cgroups.
var CgroupPath = Attack{Name: "leak.cgroup-path", Run: func(a *Attempt) {
	a.ReadFile("/proc/self/cgroup")
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if !a.Try("read /proc/self/mountinfo", err) {
		return
	}
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, " - cgroup") {
			a.Saw(line)
		}
	}
}}

// LauncherEnvironment holds, so that the harness can look at what it was started with.
var LauncherEnvironment = Attack{Name: "leak.launcher-environment", Run: func(a *Attempt) {
	a.Hold("started")
	a.Try("read /proc/self/environ", nil)
}}

// kallsyms is there on nearly every kernel: CONFIG_KALLSYMS.
const kallsyms = "/proc/kallsyms"

// KernelAddresses returns the start of every file that shows addresses in the kernel.
var KernelAddresses = Attack{Name: "leak.kernel-addresses", Run: func(a *Attempt) {
	const most = 3 // sections
	files := []string{kallsyms, "/proc/modules", "/proc/net/unix", "/proc/net/netlink", "/proc/timer_list"}
	sections, _ := filepath.Glob("/sys/module/*/sections/.text")
	for _, path := range append(files, sections[:min(len(sections), most)]...) {
		a.readStart(path)
	}
}}

// readStart keeps the first lines of a file.
func (a *Attempt) readStart(path string) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) && path != kallsyms {
		return // a kernel without modules, for instance
	}
	if !a.Try("open "+path, err) {
		return
	}
	defer f.Close() //nolint:errcheck // read-only
	const lines, bytes = 20, 8 << 10
	s := bufio.NewScanner(io.LimitReader(f, bytes))
	var b strings.Builder
	for i := 0; i < lines && s.Scan(); i++ {
		b.WriteString(s.Text() + "\n")
	}
	if a.Try("read "+path, s.Err()) {
		a.Saw(b.String())
	}
}
