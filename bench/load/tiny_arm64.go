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
