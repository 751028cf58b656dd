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

const fillCode = "" +
	"\x48\x83\xec\x10" + // sub rsp, 16
	"\x31\xdb" + // xor ebx, ebx: the children
	"\xb8\x38\x00\x00\x00" + // again: mov eax, 56: clone
	"\xbf\x11\x00\x00\x00" + // mov edi, 17: SIGCHLD
	"\x31\xf6" + // xor esi, esi
	"\x31\xd2" + // xor edx, edx
	"\x45\x31\xd2" + // xor r10d, r10d
	"\x45\x31\xc0" + // xor r8d, r8d
	"\x0f\x05" + // syscall
	"\x48\x85\xc0" + // test rax, rax
	"\x74\x24" + // jz rest: this is a child
	"\x78\x0a" + // js full
	"\xff\xc3" + // inc ebx
	"\x81\xfb\x00\x04\x00\x00" + // cmp ebx, FillMost
	"\x75\xd9" + // jne again
	"\x48\x89\x1c\x24" + // full: mov [rsp], rbx
	"\xbf\x01\x00\x00\x00" + // mov edi, 1: standard output
	"\x48\x89\xe6" + // mov rsi, rsp
	"\xba\x08\x00\x00\x00" + // mov edx, 8
	"\xb8\x01\x00\x00\x00" + // mov eax, 1: write
	"\x0f\x05" + // syscall
	"\x31\xc0" + // rest: xor eax, eax: read
	"\x31\xff" + // xor edi, edi: standard input
	"\x48\x89\xe6" + // mov rsi, rsp
	"\xba\x10\x00\x00\x00" + // mov edx, 16
	"\x0f\x05" + // syscall
	"\x48\x85\xc0" + // test rax, rax
	"\x7f\xed" + // jg rest
	"\x31\xff" + // xor edi, edi
	"\xb8\xe7\x00\x00\x00" + // mov eax, 231: exit_group
	"\x0f\x05" // syscall
