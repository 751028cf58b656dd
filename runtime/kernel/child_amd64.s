#include "textflag.h"

// func spawn(args *cloneArgs, size uintptr, first *step, count uintptr) (pid, errno uintptr)
//
// The child never returns into Go: it lives in registers until it exits. Layout of a step:
// number 0, arguments 8..48, result 56, ran 64, how 72; 80 bytes.
TEXT ·spawn(SB), NOSPLIT, $0-48
	MOVQ	args+0(FP), DI
	MOVQ	size+8(FP), SI
	MOVQ	first+16(FP), R12
	MOVQ	count+24(FP), R13
	MOVQ	$435, AX // clone3
	SYSCALL
	TESTQ	AX, AX
	JEQ	next
	CMPQ	AX, $-4095
	JCC	failed
	MOVQ	AX, pid+32(FP)
	MOVQ	$0, errno+40(FP)
	RET
failed:
	NEGQ	AX
	MOVQ	$-1, pid+32(FP)
	MOVQ	AX, errno+40(FP)
	RET
next:
	TESTQ	R13, R13
	JEQ	exit
	MOVQ	0(R12), AX
	MOVQ	8(R12), DI
	MOVQ	16(R12), SI
	MOVQ	24(R12), DX
	MOVQ	32(R12), R10
	MOVQ	40(R12), R8
	MOVQ	48(R12), R9
	TESTQ	$1, 72(R12)
	JNE	gate
	SYSCALL
store:
	MOVQ	AX, 56(R12)
	MOVQ	$1, 64(R12)
	CMPQ	AX, $-4095
	JCC	exit
	ADDQ	$80, R12
	SUBQ	$1, R13
	JMP	next
gate:
	INT	$0x80 // the i386 way in; the caller picks a call without arguments
	JMP	store
exit:
	MOVQ	$231, AX // exit_group
	MOVQ	$0, DI
	SYSCALL
	INT	$3
