package attack

// int80 makes a system call of the i386 ABI with one argument and returns what the kernel does.
func int80(number, first uintptr) int32
