package attack

const helperMachine = 183 // EM_AARCH64

const helperCode = "" +
	"\x20\x00\x80\xd2" + // mov x0, #1
	"\xe1\x03\x00\x91" + // mov x1, sp
	"\x22\x00\x80\xd2" + // mov x2, #1
	"\x08\x08\x80\xd2" + // mov x8, #64: write
	"\x01\x00\x00\xd4" + // svc #0
	"\x00\x00\x80\xd2" + // mov x0, #0
	"\xe1\x03\x00\x91" + // mov x1, sp
	"\x22\x00\x80\xd2" + // mov x2, #1
	"\xe8\x07\x80\xd2" + // mov x8, #63: read
	"\x01\x00\x00\xd4" + // svc #0
	"\xe8\x15\x80\xd2" + // mov x8, #175: geteuid
	"\x01\x00\x00\xd4" + // svc #0
	"\x1f\x00\x00\x71" + // cmp w0, #0
	"\xe0\x07\x9f\x1a" + // cset w0, ne
	"\xa8\x0b\x80\xd2" + // mov x8, #93: exit
	"\x01\x00\x00\xd4" // svc #0
