#include "textflag.h"

#define SYS_clone 220
#define SYS_ppoll 73

// func cloneIdle(flags uintptr) uintptr
// The thread shares the caller's stack pointer and touches no stack.
TEXT ·cloneIdle(SB), NOSPLIT, $0-16
	MOVD flags+0(FP), R0
	MOVD ZR, R1
	MOVD ZR, R2
	MOVD ZR, R3
	MOVD ZR, R4
	MOVD $SYS_clone, R8
	SVC
	CBZ  R0, wait
	MOVD R0, ret+8(FP)
	RET

wait:
	MOVD ZR, R0
	MOVD ZR, R1
	MOVD ZR, R2
	MOVD ZR, R3
	MOVD ZR, R4
	MOVD $SYS_ppoll, R8
	SVC
	B    wait
