package kernel

// The other system call tables of an x86-64 kernel: a seccomp filter that forgets them has
// a hole.
var (
	I386 = &Feature{
		Name: "int 0x80 (i386 ABI)", Since: Version{2, 6},
		Remedy: "boot with ia32_emulation=1; the kernel needs CONFIG_IA32_EMULATION",
		probe:  probeI386,
	}
	X32 = &Feature{
		Name: "x32 ABI", Since: Version{3, 4},
		Remedy: "boot with syscall.x32=y (Debian); the kernel needs CONFIG_X86_X32_ABI",
		probe:  probeX32,
	}
)
