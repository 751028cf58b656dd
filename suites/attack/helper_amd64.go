package attack

const helperMachine = 62 // EM_X86_64

const helperCode = "" +
	"\xb8\x01\x00\x00\x00" + // mov eax, 1: write
	"\xbf\x01\x00\x00\x00" + // mov edi, 1
	"\x48\x89\xe6" + // mov rsi, rsp
	"\xba\x01\x00\x00\x00" + // mov edx, 1
	"\x0f\x05" + // syscall
	"\x31\xc0" + // xor eax, eax: read
	"\x31\xff" + // xor edi, edi
	"\x48\x89\xe6" + // mov rsi, rsp
	"\xba\x01\x00\x00\x00" + // mov edx, 1
	"\x0f\x05" + // syscall
	"\xb8\x6b\x00\x00\x00" + // mov eax, 107: geteuid
	"\x0f\x05" + // syscall
	"\x31\xff" + // xor edi, edi
	"\x85\xc0" + // test eax, eax
	"\x40\x0f\x95\xc7" + // setne dil
	"\xb8\x3c\x00\x00\x00" + // mov eax, 60: exit
	"\x0f\x05" // syscall
