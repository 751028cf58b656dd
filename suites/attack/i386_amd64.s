#include "textflag.h"

// func int80(number, first uintptr) int32
TEXT ·int80(SB), NOSPLIT, $0-20
	MOVQ number+0(FP), AX
	MOVQ first+8(FP), BX
	XORQ CX, CX
	XORQ DX, DX
	INT  $0x80
	MOVL AX, ret+16(FP)
	RET
