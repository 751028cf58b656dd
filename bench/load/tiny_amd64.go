package load

import "debug/elf"

const machine = elf.EM_X86_64

const clockCode = "" +
	"\x48\x83\xec\x10" + // sub rsp, 16
	"\xbf\x01\x00\x00\x00" + // mov edi, 1: CLOCK_MONOTONIC
	"\x48\x89\xe6" + // mov rsi, rsp
	"\xb8\xe4\x00\x00\x00" + // mov eax, 228: clock_gettime
	"\x0f\x05" + // syscall
	"\xbf\x01\x00\x00\x00" + // mov edi, 1: standard output
	"\x48\x89\xe6" + // mov rsi, rsp
	"\xba\x10\x00\x00\x00" + // mov edx, 16
	"\xb8\x01\x00\x00\x00" + // mov eax, 1: write
	"\x0f\x05" + // syscall
	"\x31\xff" + // xor edi, edi
	"\xb8\xe7\x00\x00\x00" + // mov eax, 231: exit_group
	"\x0f\x05" // syscall

const idleCode = "" +
	"\x48\x83\xec\x10" + // sub rsp, 16
	"\x31\xc0" + // again: xor eax, eax: read
	"\x31\xff" + // xor edi, edi: standard input
	"\x48\x89\xe6" + // mov rsi, rsp
	"\xba\x10\x00\x00\x00" + // mov edx, 16
	"\x0f\x05" + // syscall
	"\x48\x85\xc0" + // test rax, rax
	"\x7f\xed" + // jg again
	"\x31\xff" + // xor edi, edi
	"\xb8\xe7\x00\x00\x00" + // mov eax, 231: exit_group
	"\x0f\x05" // syscall

const trueCode = "" +
	"\x31\xff" + // xor edi, edi
	"\xb8\xe7\x00\x00\x00" + // mov eax, 231: exit_group
	"\x0f\x05" // syscall
