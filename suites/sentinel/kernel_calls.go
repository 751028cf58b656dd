package sentinel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
	"cellwall/suites/attack"
)

// sysctlAtLeast is a row that means something only where a sysctl leaves the capability as the one
// way: it is unsupported below the value.
func sysctlAtLeast(name string, least int) error {
	path := "/proc/sys/" + strings.ReplaceAll(name, ".", "/")
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return kernel.Unsupported("sysctl %s: this kernel has none", name)
	}
	if err != nil {
		return fmt.Errorf("read sysctl %s: %w", name, err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return fmt.Errorf("read sysctl %s: %w", name, err)
	}
	if n < least {
		return kernel.Unsupported("sysctl %s is %d: no capability is needed below %d", name, n, least)
	}
	return nil
}

// NoBPFObject walks the kernel's maps and programs while the attacker holds and looks for those
// of the name that it gives its own.
func NoBPFObject(s *Stage) (*Watch, error) {
	if err := sysctlAtLeast("kernel.unprivileged_bpf_disabled", 1); err != nil {
		return nil, err
	}
	name := "cw" + strings.ToLower(s.Nonce[:13]) // BPF_OBJ_NAME_LEN is 16 with its NUL
	var finding Finding
	return &Watch{
		Target: attack.Target{Name: name},
		Hold: func(context.Context, string, *Subject) error {
			maps, err := bpfNamed(unix.BPF_MAP_GET_NEXT_ID, unix.BPF_MAP_GET_FD_BY_ID, name)
			if err != nil {
				return err
			}
			programs, err := bpfNamed(unix.BPF_PROG_GET_NEXT_ID, unix.BPF_PROG_GET_FD_BY_ID, name)
			f := Finding{Evidence: fmt.Sprintf("the kernel has %d maps and %d programs of the attacker's", maps, programs)}
			finding = f.of(part{"a map", maps > 0}, part{"a program", programs > 0})
			return err
		},
		Look: func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
			if err := MustTry(r, "bpf BPF_MAP_CREATE", "bpf BPF_PROG_LOAD"); err != nil {
				return Finding{}, err
			}
			return seen(finding)
		},
	}, nil
}

// bpfNamed counts the kernel's objects of a name.
func bpfNamed(next, open uintptr, name string) (count int, err error) {
	// The parts of union bpf_attr for these commands. The kernel wants the rest to be 0.
	var id struct{ id, next, flags uint32 }
	for {
		_, _, errno := unix.Syscall(unix.SYS_BPF, next, uintptr(unsafe.Pointer(&id)), unsafe.Sizeof(id))
		if errno == unix.ENOENT {
			return count, nil
		}
		if errno != 0 {
			return 0, fmt.Errorf("walk the kernel's bpf objects: %w", errno)
		}
		id.id = id.next
		object := struct{ id, _, _ uint32 }{id: id.id}
		fd, _, errno := unix.Syscall(unix.SYS_BPF, open, uintptr(unsafe.Pointer(&object)), unsafe.Sizeof(object))
		if errno == unix.ENOENT {
			continue // gone since
		}
		if errno != 0 {
			return 0, fmt.Errorf("open bpf object %d: %w", id.id, errno)
		}
		its, err := bpfName(fd, open == unix.BPF_MAP_GET_FD_BY_ID)
		if err := errors.Join(err, unix.Close(int(fd))); err != nil {
			return 0, fmt.Errorf("look at bpf object %d: %w", id.id, err)
		}
		if its == name {
			count++
		}
	}
}

// bpfName reads an object's name from struct bpf_map_info or bpf_prog_info.
func bpfName(fd uintptr, isMap bool) (string, error) {
	const mapName, programName, size = 24, 64, 16
	var info [128]byte
	attr := struct {
		fd, length uint32
		info       unsafe.Pointer
	}{fd: uint32(fd), length: uint32(len(info)), info: unsafe.Pointer(&info)}
	if _, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_OBJ_GET_INFO_BY_FD, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr)); errno != 0 {
		return "", errno
	}
	at := programName
	if isMap {
		at = mapName
	}
	name, _, _ := bytes.Cut(info[at:at+size], []byte{0})
	return string(name), nil
}

// NoPerfEvent looks for perf events among the attacker's descriptors while it holds.
func NoPerfEvent(*Stage) (*Watch, error) {
	if err := sysctlAtLeast("kernel.perf_event_paranoid", 2); err != nil {
		return nil, err
	}
	var finding Finding
	return &Watch{
		Hold: func(_ context.Context, _ string, a *Subject) error {
			dir := fmt.Sprintf("/proc/%d/fd", a.PID)
			entries, err := os.ReadDir(dir)
			if err != nil {
				return fmt.Errorf("list descriptors of the attacker: %w", err)
			}
			events := 0
			for _, e := range entries {
				name, err := os.Readlink(filepath.Join(dir, e.Name()))
				if err != nil {
					return fmt.Errorf("look at descriptor %s of the attacker: %w", e.Name(), err)
				}
				if name == "anon_inode:[perf_event]" {
					events++
				}
			}
			f := Finding{Evidence: fmt.Sprintf("it has %d perf events", events)}
			finding = f.of(part{"one event of two", events > 0}, part{"the other event", events > 1})
			return nil
		},
		Look: func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
			if err := MustTry(r, "perf_event_open all", "perf_event_open the kernel"); err != nil {
				return Finding{}, err
			}
			return seen(finding)
		},
	}, nil
}

// LogUnread writes one line with the nonce to the kernel log.
func LogUnread(s *Stage) (*Watch, error) {
	if err := sysctlAtLeast("kernel.dmesg_restrict", 1); err != nil {
		return nil, err
	}
	fd, err := unix.Open("/dev/kmsg", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) {
		return nil, kernel.Unsupported("/dev/kmsg: this host has none to write a nonce to")
	}
	if err != nil {
		return nil, fmt.Errorf("write to the kernel log: %w", err)
	}
	const debug = 7 // LOG_DEBUG, which no console shows. The line is not there before it is ended.
	_, err = fmt.Fprintf(kmsg(fd), "<%d>%s nonce %s\n", debug, s.Name, s.Nonce)
	if err := errors.Join(err, unix.Close(fd)); err != nil {
		return nil, fmt.Errorf("write to the kernel log: %w", err)
	}
	other := false // what lies at the container's /proc/kmsg is not the kernel's
	return &Watch{
		Target: attack.Target{Name: s.Name + " nonce"},
		Ready: func(_ context.Context, a *Subject) (err error) {
			other, err = notProcfs(fmt.Sprintf("/proc/%d/root/proc/kmsg", a.PID))
			return err
		},
		Look: func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
			if err := MustTry(r, "syslog", "open /dev/kmsg", "open /proc/kmsg"); err != nil {
				return Finding{}, err
			}
			f := s.Returned(r)
			const kmsg = "open /proc/kmsg" // nothing is read from it, so the answer has to do
			f.Evidence += fmt.Sprintf("; /proc/kmsg could be opened: %v", succeeded(r, kmsg))
			if other {
				f.Evidence += ", and is another file than the kernel's"
				return f.of(part{"a line", f.Breached}), nil
			}
			return f.of(part{"a line", f.Breached}, part{"/proc/kmsg", succeeded(r, kmsg)}), nil
		},
	}, nil
}

// notProcfs reports whether a file is there that is none of procfs, as where a runtime covers one by a FIFO of its own.
func notProcfs(path string) (bool, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look at %s: %w", path, err)
	}
	var of unix.Statfs_t
	if err := errors.Join(unix.Fstatfs(fd, &of), unix.Close(fd)); err != nil {
		return false, fmt.Errorf("look at the file system of %s: %w", path, err)
	}
	return of.Type != unix.PROC_SUPER_MAGIC, nil
}

// kmsg is a descriptor of /dev/kmsg: one write is one line.
type kmsg int

func (k kmsg) Write(b []byte) (int, error) { return unix.Write(int(k), b) }

// ModulesKept sees what became of attack.LoadModule: the kernel must not have come to look at the
// arguments.
func ModulesKept(s *Stage) (*Watch, error) {
	name := []byte("cellwall_none\x00") // no module has it, so this asks and does nothing
	_, _, errno := unix.Syscall(unix.SYS_DELETE_MODULE, uintptr(unsafe.Pointer(&name[0])), unix.O_NONBLOCK, 0)
	switch errno {
	case unix.ENOENT:
	case unix.ENOSYS:
		return nil, kernel.Unsupported("modules: this kernel has none (CONFIG_MODULES)")
	case unix.EPERM:
		return nil, kernel.Unsupported("modules: the host's own root may not load any (CAP_SYS_MODULE, kernel.modules_disabled)")
	default:
		return nil, fmt.Errorf("ask for modules: %w", errno)
	}
	return s.traced(&Watch{}, func(calls []systemCall, _ attack.Record) (Finding, error) {
		return refusedBy(attack.ModuleCalls(), calls, unix.EPERM)
	}), nil
}
