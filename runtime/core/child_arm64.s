#include "textflag.h"

#define SYS_write      64
#define SYS_exit_group 94
#define SYS_clone3     435

// Offsets in struct call.
#define NUMBER   0
#define ARGS     8
#define INDIRECT 56
#define MIN      64
#define OUT      72
#define TOLERATE 80
#define SKIP     88
#define THEN     96

// ARG loads argument k into reg and follows it where its bit in R22 says that it is an address.
#define ARG(k, reg) \
	MOVD (ARGS+8*k)(R19), reg \
	TBZ  $k, R22, 2(PC)       \
	MOVD (reg), reg

// func spawn(args *cloneArgs, size uintptr, first, end uintptr, report uintptr) (pid, errno uintptr)
TEXT ·spawn(SB), NOSPLIT, $0-56
	MOVD args+0(FP), R0
	MOVD size+8(FP), R1
	MOVD first+16(FP), R19
	MOVD end+24(FP), R20
	MOVD report+32(FP), R21
	MOVD $SYS_clone3, R8
	SVC
	CBZ  R0, next
	CMP  $0, R0
	BLT  refused
	MOVD R0, pid+40(FP)
	MOVD ZR, errno+48(FP)
	RET

refused:
	NEG  R0, R0
	MOVD ZR, pid+40(FP)
	MOVD R0, errno+48(FP)
	RET

// From here on the child runs: no stack, no g, no way back.
next:
	CMP  R20, R19
	BHS  exit
	MOVD INDIRECT(R19), R22
	ARG(0, R0)
	ARG(1, R1)
	ARG(2, R2)
	ARG(3, R3)
	ARG(4, R4)
	ARG(5, R5)
	MOVD NUMBER(R19), R8
	SVC
	MOVD MIN(R19), R23
	CMP  R23, R0
	BLT  failed
	MOVD OUT(R19), R23
	MOVD R0, (R23)
	MOVD THEN(R19), R24
	ADD  R24, R19
	B    next

failed:
	// A result of 0 or above that is too small has no errno: it is beyond 63 or bit 0, and
	// neither can be tolerated.
	NEG  R0, R23
	CMP  $63, R23
	BHI  report
	MOVD TOLERATE(R19), R24
	LSR  R23, R24, R24
	TBZ  $0, R24, report
	MOVD SKIP(R19), R24
	ADD  R24, R19
	B    next

report:
	// The arguments are no longer needed: their memory takes the report.
	MOVD R19, ARGS(R19)
	MOVD R0, (ARGS+8)(R19)
	MOVD R21, R0
	ADD  $ARGS, R19, R1
	MOVD $16, R2
	MOVD $SYS_write, R8
	SVC

exit:
	MOVD $127, R0
	MOVD $SYS_exit_group, R8
	SVC
	UNDEF // a seccomp filter may refuse even that
