package probes

import (
	"fmt"
	"maps"
	"slices"

	"golang.org/x/sys/unix"
)

// calls are the system calls that events name: those that make tasks, and those of a container's
// start.
var calls = map[string]uint64{
	"chdir": unix.SYS_CHDIR, "exit": unix.SYS_EXIT, "chroot": unix.SYS_CHROOT, "clone": unix.SYS_CLONE, "clone3": unix.SYS_CLONE3,
	"execve": unix.SYS_EXECVE, "execveat": unix.SYS_EXECVEAT, "fsconfig": unix.SYS_FSCONFIG, "fsmount": unix.SYS_FSMOUNT,
	"fsopen": unix.SYS_FSOPEN, "mount": unix.SYS_MOUNT, "mount_setattr": unix.SYS_MOUNT_SETATTR, "move_mount": unix.SYS_MOVE_MOUNT,
	"open_tree": unix.SYS_OPEN_TREE, "pivot_root": unix.SYS_PIVOT_ROOT, "prctl": unix.SYS_PRCTL, "prlimit64": unix.SYS_PRLIMIT64,
	"seccomp": unix.SYS_SECCOMP, "sethostname": unix.SYS_SETHOSTNAME, "setns": unix.SYS_SETNS, "umount2": unix.SYS_UMOUNT2,
	"unshare": unix.SYS_UNSHARE, "capset": unix.SYS_CAPSET, "setresuid": unix.SYS_SETRESUID, "setresgid": unix.SYS_SETRESGID,
	"setgroups": unix.SYS_SETGROUPS, "mkdirat": unix.SYS_MKDIRAT, "mknodat": unix.SYS_MKNODAT, "keyctl": unix.SYS_KEYCTL,
}

func callName(n uint32) string {
	for name, number := range oldCalls {
		if number == uint64(n) {
			return name
		}
	}
	for name, number := range calls {
		if number == uint64(n) {
			return name
		}
	}
	return fmt.Sprintf("system call %d", n)
}

// callNumber is the number of a call by its name.
func callNumber(name string) uint64 {
	if n, ok := oldCalls[name]; ok {
		return n
	}
	return calls[name]
}

// callFunctions are the kernel's functions of startCalls, by the name of the call. exit is not among them: it
// does not return, and the end of a task is told anyway. Nor are oldForks.
func callFunctions() map[string]string {
	functions := map[string]string{}
	for _, names := range []map[string]uint64{calls, oldCalls} {
		for name := range names {
			functions[name] = callFunctionPrefix + name
		}
	}
	functions["umount2"] = callFunctionPrefix + "umount" // as the kernel calls it
	for _, name := range []string{"exit", "fork", "vfork"} {
		delete(functions, name)
	}
	return functions
}

// oldForks are the numbers of fork and vfork, where there are such calls.
func oldForks() []uint64 {
	var numbers []uint64
	for _, name := range []string{"fork", "vfork"} {
		if n, ok := oldCalls[name]; ok {
			numbers = append(numbers, n)
		}
	}
	return numbers
}

// startCalls are the numbers of the system calls that a container's start is made of.
func startCalls() []uint64 {
	numbers := slices.AppendSeq(slices.Collect(maps.Values(calls)), maps.Values(oldCalls))
	slices.Sort(numbers)
	return numbers
}

// forkCalls are the numbers of the system calls that make tasks.
func forkCalls() []uint64 {
	return append(oldForks(), calls["clone"], calls["clone3"])
}
