package kernel

import (
	"errors"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Memory and CPUs: what the machine and its administrator provide.
var (
	Userfaultfd = &Feature{
		Name: "userfaultfd(2)", Since: Version{4, 3},
		Remedy: "run as root, or set sysctl vm.unprivileged_userfaultfd=1",
		probe:  userfaultfd(0, "CAP_SYS_PTRACE"),
	}
	UserfaultfdUser = &Feature{
		Name: "userfaultfd(2) UFFD_USER_MODE_ONLY", Since: Version{5, 11},
		probe: userfaultfd(1, ""), // UFFD_USER_MODE_ONLY
	}
	Swap = &Feature{
		Name: "swap", Since: Version{2, 4},
		Remedy: "add a swap file or device: swapon(8)",
		probe: func() error {
			text, err := os.ReadFile("/proc/swaps")
			if err != nil {
				return missing(err, NotBuilt, "")
			}
			if strings.Count(string(text), "\n") < 2 { // only the heading
				return absent(NotSetUp, "/proc/swaps lists none")
			}
			return nil
		},
	}
	HugePages = &Feature{
		Name: "huge pages of 2 MB", Since: Version{2, 6},
		Remedy: "set sysctl vm.nr_hugepages; its pages have 2 MB unless the kernel was booted with default_hugepagesz",
		probe:  probeHugePages,
	}
	NUMA = &Feature{
		Name: "numa(7): more than one node", Since: Version{2, 6},
		probe: func() error {
			text, err := os.ReadFile("/sys/devices/system/node/has_memory") // one with CPUs alone is no place for memory
			if err != nil {
				return missing(err, NotBuilt, "")
			}
			nodes, err := ParseList(string(text))
			if err != nil {
				return err
			}
			if len(nodes) < 2 {
				return absent(Hardware, "%d node", len(nodes))
			}
			return nil
		},
	}
	MultipleCPUs = &Feature{
		Name: "more than one CPU", Since: Version{2, 4},
		Remedy: "let this process use more CPUs: sched_setaffinity(2), cpuset",
		probe: func() error {
			var set unix.CPUSet
			if err := unix.SchedGetaffinity(0, &set); err != nil {
				return err
			}
			if set.Count() < 2 {
				return absent(Hardware, "this process may use %d", set.Count())
			}
			return nil
		},
	}
)

func userfaultfd(flags uintptr, capability string) func() error {
	return func() error {
		fd, _, errno := unix.RawSyscall(unix.SYS_USERFAULTFD, unix.O_CLOEXEC|flags, 0, 0)
		if errno != 0 {
			return refused(errno, capability)
		}
		return unix.Close(int(fd))
	}
}

func probeHugePages() error {
	switch n, err := readInt("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"); {
	case errors.Is(err, os.ErrNotExist):
		return absent(NotBuilt, "no pages of 2 MB in /sys/kernel/mm/hugepages")
	case err != nil:
		return err
	case n == 0:
		return absent(NotSetUp, "nr_hugepages is 0 for pages of 2 MB")
	}
	return nil
}
