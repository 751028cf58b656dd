#include "textflag.h"

// func spawn(args *cloneArgs, size uintptr, first *step, count uintptr) (pid, errno uintptr)
//
// The child never returns into Go: it lives in registers until it exits. Layout of a step:
// number 0, arguments 8..48, result 56, ran 64, how 72; 80 bytes.
TEXT ·spawn(SB), NOSPLIT, $0-48
	MOVD	args+0(FP), R0
	MOVD	size+8(FP), R1
	MOVD	first+16(FP), R19
	MOVD	count+24(FP), R20
	MOVD	$435, R8 // clone3
	SVC
	CBZ	R0, next
	CMN	$4095, R0
	BCS	failed
	MOVD	R0, pid+32(FP)
	MOVD	ZR, errno+40(FP)
	RET
failed:
	NEG	R0, R0
	MOVD	$-1, R1
	MOVD	R1, pid+32(FP)
	MOVD	R0, errno+40(FP)
	RET
next:
	CBZ	R20, exit
	MOVD	0(R19), R8
	MOVD	8(R19), R0
	MOVD	16(R19), R1
	MOVD	24(R19), R2
	MOVD	32(R19), R3
	MOVD	40(R19), R4
	MOVD	48(R19), R5
	SVC
	MOVD	R0, 56(R19)
	MOVD	$1, R9
	MOVD	R9, 64(R19)
	CMN	$4095, R0
	BCS	exit
	ADD	$80, R19
	SUB	$1, R20
	B	next
exit:
	MOVD	$94, R8 // exit_group
	MOVD	ZR, R0
	SVC
	BRK
