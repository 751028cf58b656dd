package vm

import (
	"debug/elf"
	"fmt"
	"os/exec"
	"strconv"
	"strings"

	"cellwall/ci/vm/guest"
)

// arch is what differs between the machines that QEMU can be.
type arch struct {
	machine elf.Machine
	program string // QEMU's
	debian  string // package
	board   string
	cpu     map[string]string // by accelerator
	console string            // words of the kernel's command line
	clock   map[string]string // words of it, by accelerator
}

// arches is by GOARCH. The CPU is what the accelerator can do at its best, but for what the
// translator does badly. On amd64 that is page tables of five levels, with which a second CPU does
// not start, fast strings, by which the kernel clears and copies pages byte by byte, and cmpxchg16b, after
// which QEMU 7.2 has an operand's bits in the flags: the kernel's allocator saves and restores these, and panics.
// On arm64 it is 52-bit addresses, with which old kernels hang, and pointer authentication by its slowest algorithm.
var arches = map[string]arch{
	"amd64": {
		machine: elf.EM_X86_64, program: "qemu-system-x86_64", debian: "qemu-system-x86", board: "pc",
		cpu:     map[string]string{KVM: "max", TCG: "max,la57=off,erms=off,fsrm=off,cx16=off"},
		console: "console=ttyS0 earlycon=uart8250,io,0x3f8",
		clock:   map[string]string{TCG: "tsc=reliable"},
	},
	"arm64": {
		machine: elf.EM_AARCH64, program: "qemu-system-aarch64", debian: "qemu-system-arm", board: "virt",
		cpu:     map[string]string{KVM: "max", TCG: "cortex-a72"},
		console: "console=ttyAMA0 earlycon=pl011,0x9000000",
	},
}

// descriptors are the numbers under which QEMU inherits what it is connected to.
type descriptors struct{ console, channel, initramfs int }

// lookUp finds QEMU for an architecture.
func (a arch) lookUp() (string, error) {
	name, err := exec.LookPath(a.program)
	if err != nil {
		return "", fmt.Errorf("%s is not installed: on Debian, apt install %s%w", a.program, a.debian, silent{err})
	}
	return name, nil
}

// silent is an error to be found by errors.Is that adds no words.
type silent struct{ error }

func (silent) Error() string   { return "" }
func (s silent) Unwrap() error { return s.error }

// arguments is QEMU's command line. docs/vm.md has the reason for each word; a word that is not
// there fails a test.
func (g Guest) arguments(accel string, fd descriptors) []string {
	a := arches[g.Kernel.Arch]
	const mib = 1 << 20
	accelerator := accel
	if accel == TCG {
		accelerator += ",thread=single"
	}
	args := []string{
		"-name", "cellwall",
		"-no-user-config",
		"-nodefaults",
		"-display", "none",
		"-no-reboot",
		"-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
		"-machine", a.board,
		"-accel", accelerator,
		"-cpu", a.cpu[accel],
		"-smp", strconv.Itoa(g.CPUs),
		"-m", fmt.Sprintf("%dM", (g.Memory+mib-1)/mib),
		"-chardev", fmt.Sprintf("socket,id=console,fd=%d", fd.console),
		"-serial", "chardev:console",
		"-chardev", fmt.Sprintf("socket,id=records,fd=%d", fd.channel),
		"-device", "virtio-serial-pci",
		"-device", "virtserialport,chardev=records,name=" + guest.Port,
		"-kernel", g.Kernel.Image,
		"-initrd", fmt.Sprintf("/proc/self/fd/%d", fd.initramfs),
		"-append", g.commandLine(accel),
	}
	if g.Instructions {
		args = append(args, "-icount", "shift=1,sleep=off")
	}
	return args
}

// commandLine is the kernel's. All else is as the distribution built it: what is measured is a
// kernel as people run it.
func (g Guest) commandLine(accel string) string {
	a := arches[g.Kernel.Arch]
	words := []string{a.console, "panic=-1", "oops=panic"}
	if clock := a.clock[accel]; clock != "" {
		words = append(words, clock)
	}
	return strings.Join(append(words, g.Append...), " ")
}
