#include "textflag.h"

#define SYS_clone 56
#define SYS_ppoll 271

// func cloneIdle(flags uintptr) uintptr
// The thread shares the caller's stack pointer and touches no stack.
TEXT ·cloneIdle(SB), NOSPLIT, $0-16
	MOVQ flags+0(FP), DI
	XORL SI, SI
	XORL DX, DX
	XORL R10, R10
	XORL R8, R8
	MOVL $SYS_clone, AX
	SYSCALL
	TESTQ AX, AX
	JEQ  wait
	MOVQ AX, ret+8(FP)
	RET

wait:
	XORL DI, DI
	XORL SI, SI
	XORL DX, DX
	XORL R10, R10
	XORL R8, R8
	MOVL $SYS_ppoll, AX
	SYSCALL
	JMP  wait
