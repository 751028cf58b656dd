package kernel

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// HostFacts is what a record says about the host: what it is, not what it can do.
type HostFacts struct {
	Release     string  // uname -r: "6.18.44-cloud-amd64"
	Version     Version // the start of Release
	Machine     string  // uname -m: "x86_64"
	CPUs        int     // online in the whole host, not only those that this process may use
	MemoryBytes uint64  // all memory of the host that the kernel can give out
	BootID      string  // a UUID that lasts until the next boot, random(4)
	Lockdown    string  // see Lockdown
}

// Facts gathers the facts of the running host. It fails only where /proc is not the host's.
func Facts() (HostFacts, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return HostFacts{}, fmt.Errorf("uname: %w", err)
	}
	release := unix.ByteSliceToString(u.Release[:])
	version, err := ParseVersion(release)
	if err != nil {
		return HostFacts{}, err
	}
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return HostFacts{}, fmt.Errorf("sysinfo: %w", err)
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return HostFacts{}, err
	}
	return HostFacts{
		Release:     release,
		Version:     version,
		Machine:     unix.ByteSliceToString(u.Machine[:]),
		CPUs:        onlineCPUs(),
		MemoryBytes: uint64(info.Totalram) * uint64(info.Unit),
		BootID:      strings.TrimSpace(string(boot)),
		Lockdown:    Lockdown(),
	}, nil
}

// onlineCPUs counts the host's CPUs, or, where sysfs is not mounted, those of this process.
func onlineCPUs() int {
	text, err := os.ReadFile("/sys/devices/system/cpu/online")
	if err != nil {
		return runtime.NumCPU()
	}
	list, err := ParseList(string(text))
	if err != nil || len(list) == 0 {
		return runtime.NumCPU()
	}
	return len(list)
}
