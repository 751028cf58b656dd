package core

import "unsafe"

// call is a step as the child reads it: plain words in memory that the Go runtime does not
// manage. The assembly in child_*.s knows this layout.
type call struct {
	number   uintptr
	args     [6]uintptr
	indirect uintptr // bit k set: args[k] is the address of the value
	min      int64   // smallest result that is a success
	out      uintptr // address that receives the result
	tolerate uint64  // bit e set: errno e is no failure
	skip     uintptr // bytes from this step to the one after a tolerated error
	then     uintptr // bytes from this step to the one after a success
}

const callSize = unsafe.Sizeof(call{})

// cloneArgs is struct clone_args of linux/sched.h, version 2 (CLONE_ARGS_SIZE_VER2, 5.7).
type cloneArgs struct {
	flags, pidfd, childTID, parentTID, exitSignal uint64
	stack, stackSize, tls, setTID, setTIDSize     uint64
	cgroup                                        uint64
}

// spawn calls clone3(2) and returns in the parent alone. The child runs the calls from first
// to end and never returns: it ends in execve, or writes the address of the failed call and
// its result (two words) to report and exits with status 127.
//
// The child may share the parent's memory (CLONE_VM): it uses no stack at all, only registers
// and the calls. The caller must have blocked all signals.
//
//go:noescape
func spawn(args *cloneArgs, size uintptr, first, end uintptr, report uintptr) (pid, errno uintptr)
