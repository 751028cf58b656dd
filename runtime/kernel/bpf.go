package kernel

import (
	"encoding/binary"
	"io"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// eBPF and tracing. Whether a tracing program can be attached is not asked here: lockdown
// answers it differently for every kind of program.
var (
	BPF = &Feature{
		Name: "bpf(2)", Since: Version{3, 18},
		Remedy: "run as root, or set sysctl kernel.unprivileged_bpf_disabled=0",
		probe:  loadBPF(unix.BPF_PROG_TYPE_SOCKET_FILTER, "CAP_BPF"),
	}
	BPFCgroupDevice = &Feature{
		Name: "bpf(2) BPF_PROG_TYPE_CGROUP_DEVICE", Since: Version{4, 15},
		Remedy: "run as root; the kernel needs CONFIG_CGROUP_BPF",
		probe:  loadBPF(unix.BPF_PROG_TYPE_CGROUP_DEVICE, "CAP_BPF"),
	}
	BTF = &Feature{
		Name: "BTF of the kernel, /sys/kernel/btf/vmlinux", Since: Version{5, 4},
		Remedy: "mount sysfs; the kernel needs CONFIG_DEBUG_INFO_BTF",
		probe:  probeBTF,
	}
	PerfEventOpen = &Feature{
		Name: "perf_event_open(2)", Since: Version{2, 6},
		Remedy: "lower sysctl kernel.perf_event_paranoid",
		probe: func() error {
			attr := unix.PerfEventAttr{
				Type:   unix.PERF_TYPE_SOFTWARE,
				Size:   uint32(unsafe.Sizeof(unix.PerfEventAttr{})),
				Config: unix.PERF_COUNT_SW_TASK_CLOCK,
				Bits:   unix.PerfBitDisabled | unix.PerfBitExcludeKernel | unix.PerfBitExcludeHv,
			}
			fd, err := unix.PerfEventOpen(&attr, 0, -1, -1, unix.PERF_FLAG_FD_CLOEXEC)
			if err != nil {
				return refused(err, "CAP_PERFMON")
			}
			return unix.Close(fd)
		},
	}
)

// loadBPF loads "return 0" as a program of a type, and attaches it to nothing.
func loadBPF(kind uint32, capability string) func() error {
	return func() error {
		code := [2]uint64{0x00000000000000b7, 0x0000000000000095} // r0 = 0; exit
		license := [...]byte{'G', 'P', 'L', 0}
		// The start of union bpf_attr for BPF_PROG_LOAD; the rest is 0.
		attr := struct {
			kind, instructions uint32
			code, license      *byte
			rest               [64]byte
		}{
			kind: kind, instructions: uint32(len(code)),
			code: (*byte)(unsafe.Pointer(&code)), license: &license[0],
		}
		var fd uintptr
		errno := untilVerified(func() (errno unix.Errno) {
			fd, _, errno = unix.RawSyscall(unix.SYS_BPF, unix.BPF_PROG_LOAD, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
			return errno
		})
		runtime.KeepAlive(&attr)
		if errno != 0 {
			return refused(errno, capability)
		}
		return unix.Close(int(fd))
	}
}

// untilVerified loads again while the verifier says EAGAIN: it gives up where a signal is pending, and Go
// sends itself some at any time, signal(7): SIGURG. On a slow machine that was seen with Linux 5.10.
func untilVerified(load func() unix.Errno) (errno unix.Errno) {
	const most = 30 // as cilium/ebpf
	for range most {
		if errno = load(); errno != unix.EAGAIN {
			break
		}
	}
	return errno
}

func probeBTF() error {
	f, err := os.Open("/sys/kernel/btf/vmlinux")
	if err != nil {
		return missing(err, NotBuilt, "")
	}
	defer f.Close() //nolint:errcheck // nothing was written
	var header [2]byte
	if _, err := io.ReadFull(f, header[:]); err != nil {
		return err
	}
	if magic := binary.NativeEndian.Uint16(header[:]); magic != 0xeb9f {
		return absent(NotBuilt, "the file starts with %#x", magic)
	}
	return nil
}
