package seccomp

import (
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// denial is a group of calls that the default profile never allows, whatever moby's does.
type denial struct {
	names  []string
	reason string
	source string
}

var denials = []denial{
	{
		names:  []string{"io_uring_setup", "io_uring_enter", "io_uring_register"},
		reason: "its operations pass no seccomp filter: it opens files whose openat is refused",
		source: "syscall.io-uring; seccomp sees only io_uring_enter, io_uring_enter(2)",
	},
	{
		names:  []string{"userfaultfd"},
		reason: "stops the kernel inside a copy at will, which makes races certain",
		source: "syscall.risky-calls; userfaultfd(2), vm.unprivileged_userfaultfd",
	},
	{
		names:  []string{"keyctl", "add_key", "request_key"},
		reason: "keyrings belong to a kernel uid, not to a container",
		source: "syscall.risky-calls; keyrings(7); CVE-2016-0728",
	},
	{
		names:  []string{"move_pages", "migrate_pages"},
		reason: "tells of and moves physical memory, no namespace covers it",
		source: "syscall.risky-calls; move_pages(2); CVE-2017-14140",
	},
	{
		names:  []string{"kexec_load", "kexec_file_load"},
		reason: "replaces the host's kernel",
		source: "kernel.kexec; kexec_load(2)",
	},
	{
		names:  []string{"modify_ldt"},
		reason: "16-bit and 32-bit segments, of no use where only the native ABI is served",
		source: "modify_ldt(2); CVE-2017-17053",
	},
	{
		names:  []string{"socketcall"},
		reason: "hides the address family behind a pointer, which no filter can read",
		source: "net.vsock; socketcall(2)",
	},
}

// narrowing is a call that the default profile allows only with certain arguments. Its rules
// take the place of moby's. They must stay disjoint from any deny rule: libseccomp drops rules
// whose action is the default one, so a refusal can only be said by what is allowed.
type narrowing struct {
	name   string
	reason string
	source string
	allow  func(caps []string) [][]specs.LinuxSeccompArg // one rule each
}

var narrowings = []narrowing{
	{
		name:   "ioctl",
		reason: "TIOCSTI and TIOCLINUX type into the host's terminal; TIOCSETD loads line disciplines",
		source: "device.terminal-injection, kernel.module-autoload; ioctl_tty(2); CVE-2017-5226, CVE-2023-1523, CVE-2017-2636",
		allow: func([]string) [][]specs.LinuxSeccompArg {
			return allBut(1, unix.TIOCSTI, tiocLinux, unix.TIOCSETD)
		},
	},
	{
		name:   "socket",
		reason: "each other family, type or protocol is one more kernel module, loaded on demand",
		source: "kernel.module-autoload, net.vsock; socket(2), net/socket.c request_module; CVE-2017-6074 (DCCP)",
		allow:  sockets,
	},
	{
		name:   "socketpair",
		reason: "it creates sockets of the family first and only then asks whether pairs exist",
		source: "kernel.module-autoload, net.vsock; socketpair(2), net/socket.c",
		allow: func([]string) [][]specs.LinuxSeccompArg {
			return [][]specs.LinuxSeccompArg{{equal(0, unix.AF_UNIX)}}
		},
	},
}

// tiocLinux is TIOCLINUX of asm-generic/ioctls.h, which x/sys has not.
const tiocLinux = 0x541c
