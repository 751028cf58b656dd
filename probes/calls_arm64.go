package probes

// callNumberField is where the kernel keeps the number of the system call that a task is in.
const callNumberField = "pt_regs.syscallno"

// oldCalls are those that only older architectures have.
var oldCalls = map[string]uint64{}
