package kernel

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The security modules that matter to a container, each only if it is active.
var (
	AppArmor = &Feature{Name: "AppArmor", Since: Version{2, 6}, Remedy: lsmRemedy, probe: activeLSM("apparmor")}
	SELinux  = &Feature{Name: "SELinux", Since: Version{2, 6}, Remedy: lsmRemedy, probe: activeLSM("selinux")}
	Yama     = &Feature{Name: "Yama", Since: Version{3, 4}, Remedy: lsmRemedy, probe: activeLSM("yama")}
	BPFLSM   = &Feature{Name: "BPF LSM", Since: Version{5, 7}, Remedy: lsmRemedy, probe: activeLSM("bpf")}

	LockdownLSM = &Feature{
		Name: "kernel_lockdown(7)", Since: Version{5, 4},
		Remedy: lsmRemedy, probe: activeLSM("lockdown"),
	}
)

const lsmRemedy = "put it into the boot parameter lsm=, if the kernel was built with it"

// lsmIDs are the names of LSM_ID_* in linux/lsm.h, under which securityfs lists them.
var lsmIDs = map[uint64]string{
	100: "capability", 101: "selinux", 102: "smack", 103: "tomoyo", 104: "apparmor",
	105: "yama", 106: "loadpin", 107: "safesetid", 108: "lockdown", 109: "bpf",
	110: "landlock", 111: "ima", 112: "evm", 113: "ipe",
}

// LSMs returns the names of the active security modules: from lsm_list_modules(2) (6.8) or
// else from securityfs.
func LSMs() ([]string, error) {
	var ids [32]uint64
	size := uint32(unsafe.Sizeof(ids))
	n, _, errno := unix.RawSyscall(unix.SYS_LSM_LIST_MODULES,
		uintptr(unsafe.Pointer(&ids)), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return lsmsFromSecurityfs()
	}
	var names []string
	for _, id := range ids[:min(int(n), len(ids))] {
		name, ok := lsmIDs[id]
		if !ok {
			name = fmt.Sprintf("lsm-%d", id)
		}
		names = append(names, name)
	}
	return names, nil
}

func lsmsFromSecurityfs() ([]string, error) {
	dir, err := openSecurityfs()
	if err != nil {
		return nil, &unasked{name: "list security modules", err: err}
	}
	defer dir.Close() //nolint:errcheck // nothing was written
	fd, err := unix.Openat(int(dir.Fd()), "lsm", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &unasked{name: "open lsm in securityfs", err: err}
	}
	f := os.NewFile(uintptr(fd), securityfs+"/lsm")
	defer f.Close() //nolint:errcheck // nothing was written
	text, err := io.ReadAll(io.LimitReader(f, 4096))
	if err != nil {
		return nil, err
	}
	return strings.FieldsFunc(string(text), func(r rune) bool { return r == ',' || r == '\n' }), nil
}

func activeLSM(name string) func() error {
	return func() error {
		names, err := LSMs()
		if err != nil {
			return err
		}
		if !slices.Contains(names, name) {
			return absent(NotSetUp, "the active security modules are %s", strings.Join(names, ", "))
		}
		return nil
	}
}
