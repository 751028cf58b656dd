#include "textflag.h"

#define SYS_write      1
#define SYS_exit_group 231
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

// ARG loads argument k into reg and follows it where its bit in CX says that it is an address.
#define ARG(k, reg) \
	MOVQ (ARGS+8*k)(R12), reg \
	BTL  $k, CX               \
	JCC  2(PC)                \
	MOVQ (reg), reg

// func spawn(args *cloneArgs, size uintptr, first, end uintptr, report uintptr) (pid, errno uintptr)
TEXT ·spawn(SB), NOSPLIT, $0-56
	MOVQ args+0(FP), DI
	MOVQ size+8(FP), SI
	MOVQ first+16(FP), R12
	MOVQ end+24(FP), R13
	MOVQ report+32(FP), BX
	MOVQ $SYS_clone3, AX
	SYSCALL
	TESTQ AX, AX
	JEQ  next
	JLT  refused
	MOVQ AX, pid+40(FP)
	MOVQ $0, errno+48(FP)
	RET

refused:
	NEGQ AX
	MOVQ $0, pid+40(FP)
	MOVQ AX, errno+48(FP)
	RET

// From here on the child runs: no stack, no g, no way back.
next:
	CMPQ R12, R13
	JCC  exit
	MOVQ INDIRECT(R12), CX
	ARG(0, DI)
	ARG(1, SI)
	ARG(2, DX)
	ARG(3, R10)
	ARG(4, R8)
	ARG(5, R9)
	MOVQ NUMBER(R12), AX
	SYSCALL
	CMPQ AX, MIN(R12)
	JLT  failed
	MOVQ OUT(R12), CX
	MOVQ AX, (CX)
	ADDQ THEN(R12), R12
	JMP  next

failed:
	// A result of 0 or above that is too small has no errno: it is beyond 63 or bit 0, and
	// neither can be tolerated.
	MOVQ AX, CX
	NEGQ CX
	CMPQ CX, $63
	JHI  report
	MOVQ TOLERATE(R12), DX
	BTQ  CX, DX
	JCC  report
	ADDQ SKIP(R12), R12
	JMP  next

report:
	// The arguments are no longer needed: their memory takes the report.
	MOVQ R12, ARGS(R12)
	MOVQ AX, (ARGS+8)(R12)
	MOVQ BX, DI
	LEAQ ARGS(R12), SI
	MOVQ $16, DX
	MOVQ $SYS_write, AX
	SYSCALL

exit:
	MOVQ $127, DI
	MOVQ $SYS_exit_group, AX
	SYSCALL
	UNDEF // a seccomp filter may refuse even that
