package probes

// callNumberField is where the kernel keeps the number of the system call that a task is in.
const callNumberField = "pt_regs.syscallno"

// callFunctionPrefix begins the names of the kernel's functions that are system calls.
const callFunctionPrefix = "__arm64_sys_"

// oldCalls are those that only older architectures have.
var oldCalls = map[string]uint64{}
