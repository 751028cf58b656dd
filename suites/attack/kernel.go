package attack

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

var kernelAttacks = []Attack{
	OpenForWrite,
	OpenSysctls,
	OpenSysfs,
	MakeBPF,
	WatchAll,
	ReadLog,
	LoadModule,
	Audit,
}

// openForWrite opens a file for writing that is there, and never writes to it, makes it or cuts
// it off. The descriptor stays open.
func openForWrite(path string) error {
	_, err := unix.Open(path, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	return err
}

// OpenForWrite opens each of Target.Paths for writing and holds with what it has open.
var OpenForWrite = Attack{Name: "kernel.open-for-write", Run: func(a *Attempt) {
	for _, path := range a.Target.Paths {
		a.Try("open for write "+path, openForWrite(path))
	}
	a.Hold("open")
}}

// namespacedSysctls are what sysctls a namespace has for itself: ipc/ipc_sysctl.c, ipc/mq_sysctl.c,
// kernel/utsname_sysctl.c, kernel/pid_namespace.c, kernel/ucount.c. What is below the last may be mounted
// as soon as it is looked at.
var namespacedSysctls = []string{
	"/proc/sys/net", "/proc/sys/user", "/proc/sys/fs/mqueue",
	"/proc/sys/kernel/hostname", "/proc/sys/kernel/domainname", "/proc/sys/kernel/ns_last_pid", "/proc/sys/kernel/pid_max",
	"/proc/sys/kernel/msgmax", "/proc/sys/kernel/msgmnb", "/proc/sys/kernel/msgmni", "/proc/sys/kernel/msg_next_id",
	"/proc/sys/kernel/sem", "/proc/sys/kernel/sem_next_id", "/proc/sys/kernel/auto_msgmni",
	"/proc/sys/kernel/shmall", "/proc/sys/kernel/shmmax", "/proc/sys/kernel/shmmni", "/proc/sys/kernel/shm_next_id",
	"/proc/sys/kernel/shm_rmid_forced", "/proc/sys/fs/binfmt_misc",
}

// OpenSysctls opens for writing every sysctl that is no namespace's, until Target.Count are open besides
// Target.Paths, and holds.
var OpenSysctls = Attack{Name: "kernel.sysctl-global", Run: func(a *Attempt) {
	left, wanted := a.Target.Count, slices.Clone(a.Target.Paths)
	err := filepath.WalkDir("/proc/sys", func(path string, e fs.DirEntry, err error) error {
		switch i := slices.Index(wanted, path); {
		case err != nil:
			return nil //nolint:nilerr // what cannot be listed is not opened
		case slices.Contains(namespacedSysctls, path) && e.IsDir():
			return fs.SkipDir
		case slices.Contains(namespacedSysctls, path) || e.IsDir():
		case i >= 0:
			a.Try("open for write "+path, openForWrite(path))
			wanted = slices.Delete(wanted, i, i+1)
		case left > 0 && openForWrite(path) == nil:
			left--
		}
		return nil
	})
	a.Try("walk /proc/sys", err)
	for _, path := range wanted { // what it has not found
		a.Try("open for write "+path, openForWrite(path))
	}
	a.Hold("open")
}}

// OpenSysfs opens for writing what it finds in the directories Target.Paths, as far as their file
// system goes and the owner may write, until Target.Count are open in each, and holds.
var OpenSysfs = Attack{Name: "kernel.sysfs-write", Run: func(a *Attempt) {
	const notes, enough = 2, 64 // tries worth a note, and tries in one directory
	for _, dir := range a.Target.Paths {
		left, tried := a.Target.Count, 0
		var root, here unix.Stat_t
		if err := unix.Lstat(dir, &root); !a.Try("look at "+dir, err) {
			continue
		}
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil {
				return nil //nolint:nilerr // what cannot be listed is not opened
			}
			if e.IsDir() {
				if unix.Lstat(path, &here) != nil || here.Dev != root.Dev {
					return fs.SkipDir // another file system
				}
				return nil
			}
			info, err := e.Info()
			if err != nil || !info.Mode().IsRegular() || info.Mode().Perm()&0o200 == 0 {
				return nil //nolint:nilerr // as above
			}
			err = openForWrite(path)
			if tried++; tried <= notes {
				a.Try("open for write "+path, err)
			}
			if err == nil {
				left--
			}
			if left == 0 || tried == enough {
				return fs.SkipAll
			}
			return nil
		})
		a.Try("walk "+dir, err)
	}
	a.Hold("open")
}}

// MakeBPF makes a map and a program of the name Target.Name, and holds with them.
var MakeBPF = Attack{Name: "kernel.bpf", Run: func(a *Attempt) {
	var name [16]byte // BPF_OBJ_NAME_LEN
	copy(name[:len(name)-1], a.Target.Name)
	// The start of union bpf_attr for BPF_MAP_CREATE; the rest is 0.
	array := struct {
		kind, keySize, valueSize, entries, flags, inner, node uint32
		name                                                  [16]byte
		rest                                                  [64]byte
	}{kind: unix.BPF_MAP_TYPE_ARRAY, keySize: 4, valueSize: 8, entries: 1, name: name}
	a.Try("bpf BPF_MAP_CREATE", bpf(unix.BPF_MAP_CREATE, unsafe.Pointer(&array), unsafe.Sizeof(array)))
	code := [2]uint64{0x00000000000000b7, 0x0000000000000095} // r0 = 0; exit
	license := [...]byte{'G', 'P', 'L', 0}
	program := struct {
		kind, instructions uint32
		code, license      unsafe.Pointer
		logLevel, logSize  uint32
		log                uint64
		version, flags     uint32
		name               [16]byte
		rest               [64]byte
	}{
		kind: unix.BPF_PROG_TYPE_SOCKET_FILTER, instructions: uint32(len(code)),
		code: unsafe.Pointer(&code), license: unsafe.Pointer(&license), name: name,
	}
	a.Try("bpf BPF_PROG_LOAD", bpf(unix.BPF_PROG_LOAD, unsafe.Pointer(&program), unsafe.Sizeof(program)))
	a.Hold("made")
}}

// bpf makes a call whose descriptor stays open.
func bpf(command uintptr, attr unsafe.Pointer, size uintptr) error {
	_, _, errno := unix.Syscall(unix.SYS_BPF, command, uintptr(attr), size)
	return asError(errno)
}

// WatchAll opens perf events for everything that runs on the first CPU, and for the kernel's part
// of itself, and holds with them.
var WatchAll = Attack{Name: "kernel.perf", Run: func(a *Attempt) {
	for _, e := range []struct {
		name     string
		pid, cpu int
	}{
		{name: "all processes on CPU 0", pid: -1, cpu: 0},
		{name: "the kernel's part of itself", pid: 0, cpu: -1},
	} {
		attr := unix.PerfEventAttr{
			Type: unix.PERF_TYPE_SOFTWARE, Size: uint32(unsafe.Sizeof(unix.PerfEventAttr{})),
			Config: unix.PERF_COUNT_SW_CPU_CLOCK, Bits: unix.PerfBitDisabled,
		}
		_, err := unix.PerfEventOpen(&attr, e.pid, e.cpu, -1, unix.PERF_FLAG_FD_CLOEXEC)
		a.Try("perf_event_open "+e.name, err)
	}
	a.Hold("open")
}}

// ReadLog looks for lines with Target.Name in the kernel log. /proc/kmsg is only opened, since to
// read it is to take from others.
var ReadLog = Attack{Name: "kernel.log", Run: func(a *Attempt) {
	const readAll, size = 3, 1 << 20 // SYSLOG_ACTION_READ_ALL
	b := make([]byte, size)
	n, err := unix.Klogctl(readAll, b)
	if a.Try("syslog SYSLOG_ACTION_READ_ALL", err) {
		a.sawLines(string(b[:n]))
	}
	fd, err := unix.Open("/dev/kmsg", unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if a.Try("open /dev/kmsg", err) {
		for err == nil || errors.Is(err, unix.EPIPE) { // EPIPE: lines were overwritten
			if n, err = unix.Read(fd, b); n > 0 {
				a.sawLines(string(b[:n]))
			}
		}
		_ = unix.Close(fd)
	}
	fd, err = unix.Open("/proc/kmsg", unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if a.Try("open /proc/kmsg", err) {
		_ = unix.Close(fd)
	}
}}

func (a *Attempt) sawLines(log string) {
	for line := range strings.Lines(log) {
		if strings.Contains(line, a.Target.Name) {
			a.Saw(line)
		}
	}
}

// ModuleCalls are those of LoadModule. None can change anything: the image is none, and no
// module has the name.
func ModuleCalls() []Call {
	return []Call{
		{Name: "init_module", Number: unix.SYS_INIT_MODULE, Args: [6]uintptr{literal("none\x00"), 4, literal("\x00")}},
		{Name: "finit_module", Number: unix.SYS_FINIT_MODULE, Args: [6]uintptr{^uintptr(0), literal("\x00")}},
		{Name: "delete_module", Number: unix.SYS_DELETE_MODULE, Args: [6]uintptr{literal("cellwall_none\x00"), unix.O_NONBLOCK}},
	}
}

// LoadModule makes every one of ModuleCalls.
var LoadModule = Attack{Name: "kernel.modules", Run: func(a *Attempt) {
	for _, c := range ModuleCalls() {
		a.call(c)
	}
}}
