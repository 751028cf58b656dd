package load

import "debug/elf"

const machine = elf.EM_AARCH64

const clockCode = "" +
	"\xff\x43\x00\xd1" + // sub sp, sp, #16
	"\x20\x00\x80\xd2" + // mov x0, #1: CLOCK_MONOTONIC
	"\xe1\x03\x00\x91" + // mov x1, sp
	"\x28\x0e\x80\xd2" + // mov x8, #113: clock_gettime
	"\x01\x00\x00\xd4" + // svc #0
	"\x20\x00\x80\xd2" + // mov x0, #1: standard output
	"\xe1\x03\x00\x91" + // mov x1, sp
	"\x02\x02\x80\xd2" + // mov x2, #16
	"\x08\x08\x80\xd2" + // mov x8, #64: write
	"\x01\x00\x00\xd4" + // svc #0
	"\x00\x00\x80\xd2" + // mov x0, #0
	"\xc8\x0b\x80\xd2" + // mov x8, #94: exit_group
	"\x01\x00\x00\xd4" // svc #0

const idleCode = "" +
	"\xff\x43\x00\xd1" + // sub sp, sp, #16
	"\x00\x00\x80\xd2" + // again: mov x0, #0: standard input
	"\xe1\x03\x00\x91" + // mov x1, sp
	"\x02\x02\x80\xd2" + // mov x2, #16
	"\xe8\x07\x80\xd2" + // mov x8, #63: read
	"\x01\x00\x00\xd4" + // svc #0
	"\x1f\x00\x00\xf1" + // cmp x0, #0
	"\x4c\xff\xff\x54" + // b.gt again
	"\x00\x00\x80\xd2" + // mov x0, #0
	"\xc8\x0b\x80\xd2" + // mov x8, #94: exit_group
	"\x01\x00\x00\xd4" // svc #0

const trueCode = "" +
	"\x00\x00\x80\xd2" + // mov x0, #0
	"\xc8\x0b\x80\xd2" + // mov x8, #94: exit_group
	"\x01\x00\x00\xd4" // svc #0

const fillCode = "" +
	"\xff\x43\x00\xd1" + // sub sp, sp, #16
	"\x13\x00\x80\xd2" + // mov x19, #0: the children
	"\x20\x02\x80\xd2" + // again: mov x0, #17: SIGCHLD
	"\x01\x00\x80\xd2" + // mov x1, #0
	"\x02\x00\x80\xd2" + // mov x2, #0
	"\x03\x00\x80\xd2" + // mov x3, #0
	"\x04\x00\x80\xd2" + // mov x4, #0
	"\x88\x1b\x80\xd2" + // mov x8, #220: clone
	"\x01\x00\x00\xd4" + // svc #0
	"\x60\x01\x00\xb4" + // cbz x0, rest: this is a child
	"\x80\x00\xf8\xb7" + // tbnz x0, #63, full
	"\x73\x06\x00\x91" + // add x19, x19, #1
	"\x7f\x02\x10\xf1" + // cmp x19, #1024: FillMost
	"\xa1\xfe\xff\x54" + // b.ne again
	"\xf3\x03\x00\xf9" + // full: str x19, [sp]
	"\x20\x00\x80\xd2" + // mov x0, #1: standard output
	"\xe1\x03\x00\x91" + // mov x1, sp
	"\x02\x01\x80\xd2" + // mov x2, #8
	"\x08\x08\x80\xd2" + // mov x8, #64: write
	"\x01\x00\x00\xd4" + // svc #0
	"\x00\x00\x80\xd2" + // rest: mov x0, #0: standard input
	"\xe1\x03\x00\x91" + // mov x1, sp
	"\x02\x02\x80\xd2" + // mov x2, #16
	"\xe8\x07\x80\xd2" + // mov x8, #63: read
	"\x01\x00\x00\xd4" + // svc #0
	"\x1f\x00\x00\xf1" + // cmp x0, #0
	"\x4c\xff\xff\x54" + // b.gt rest
	"\x00\x00\x80\xd2" + // mov x0, #0
	"\xc8\x0b\x80\xd2" + // mov x8, #94: exit_group
	"\x01\x00\x00\xd4" // svc #0
