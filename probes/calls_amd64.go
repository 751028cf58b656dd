package probes

import "golang.org/x/sys/unix"

// callNumberField is where the kernel keeps the number of the system call that a task is in.
const callNumberField = "pt_regs.orig_ax"

// callFunctionPrefix begins the names of the kernel's functions that are system calls.
const callFunctionPrefix = "__x64_sys_"

// oldCalls are those that only older architectures have.
var oldCalls = map[string]uint64{"fork": unix.SYS_FORK, "vfork": unix.SYS_VFORK, "mkdir": unix.SYS_MKDIR, "mknod": unix.SYS_MKNOD}
