// Package vm boots a kernel in a virtual machine, QEMU, and runs one command in it.
//
// The guest has no disk and no network. Its root directory is an initramfs made for this boot,
// whose init is the cellwall binary itself (package guest); what the command writes comes out by
// a virtio-serial port. Nothing is written to a disk here either, and no root is needed.
// docs/vm.md gives the command line of QEMU with a reason for each word.
package vm

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"cellwall/ci/kernels"
	"cellwall/ci/vm/guest"
)

// The accelerators.
const (
	KVM = "kvm"
	TCG = "tcg" // QEMU's translator: runs anywhere, ten to fifty times slower
)

// Guest is what one boot is told.
type Guest struct {
	Kernel kernels.Kernel
	CPUs   int    // 0: one
	Memory int64  // bytes; 0: 512 MiB
	Cgroup string // "v2", "hybrid" or "v1": what the guest mounts; "" mounts no control groups
	Accel  string // KVM, TCG, or "" to try
	// Instructions has the guest's clock count the instructions of its CPU, 2 ns each, so that what it measures
	// depends on no load of this host. Only TCG can.
	Instructions bool

	// Program is the cellwall binary that becomes /init and /cellwall, for Kernel.Arch. It must
	// be static.
	Program string
	Files   []File   // further files of the guest's root: runtimes, their libraries
	Append  []string // further words of the kernel's command line
	// Command is run once the guest is up. Its first word is a path in the guest. It has no
	// input, /root as its directory, and descriptor 3 for its records.
	Command []string

	// Container, if any, takes the place of Files, Cgroup, Records and what is said of Command: that is its program.
	Container *Container

	Boot  time.Duration // until init has said that it is up
	Limit time.Duration // the whole guest

	// Console gets everything that firmware, kernel and init print, as it comes. Under nil only
	// the last lines are kept. A slow one loses text: a serial port does not wait for long.
	Console io.Writer
	// Records gets what the command writes to descriptor 3, in whole lines, as they come.
	Records        io.Writer
	Stdout, Stderr io.Writer // the command's; nil is nobody
	// Began is told that the guest is up and the command about to start; it may be nil.
	Began func() `json:"-"`
}

// Container is a guest whose root directory is a copy of one of this host, and whose command is a program in it.
type Container struct {
	guest.Container
	Hostname string
	Root     string    // a directory of this host; "" is an empty one
	Files    []File    // that are put over those of Root
	Stdin    io.Reader // of the program; nil is none. The last Read may outlast the guest.
}

// File is a file, a symbolic link or an empty directory in the guest's root. Directories on the
// way are made.
type File struct {
	Path string // absolute, in the guest
	// Source is a file of this host, of which the content and the executable bits are taken;
	// symbolic links are followed.
	Source string
	Target string // of a symbolic link, if there is no Source
}

// Result is how a guest ended. It is filled as far as it got, also beside an error.
type Result struct {
	Exit  int           // of the command: its status, or 128 and the signal
	Accel string        // what it ran on
	Up    time.Duration // from exec of QEMU until init was up; 0 if it never was
	Took  time.Duration // all of it
	Tail  []string      // the console's last lines
	Notes []string      // what the guest lacks, and why: modules, controllers, file systems
}

// BootError says that the kernel failed: it never got to init, or it ended or hung without a
// word. Any other error of Run is ours.
type BootError struct {
	Kernel string // its name
	Accel  string
	Why    string
	Tail   []string // the console's last lines
}

func (e *BootError) Error() string {
	text := fmt.Sprintf("kernel %s (%s): %s", e.Kernel, e.Accel, e.Why)
	if n := len(e.Tail); n > 0 {
		return fmt.Sprintf("%s; the console ends with %q", text, e.Tail[n-1])
	}
	return text + "; the console is empty"
}

// check refuses a guest that could not run, and fills in what is left to us.
func (g Guest) check() (Guest, error) {
	if g.CPUs == 0 {
		g.CPUs = 1
	}
	if g.Memory == 0 {
		g.Memory = 512 << 20
	}
	const least = 64 << 20
	a, known := arches[g.Kernel.Arch]
	switch {
	case !known:
		return g, fmt.Errorf("guest: no QEMU for the architecture %q: amd64 and arm64 are known", g.Kernel.Arch)
	case g.CPUs < 0 || g.Memory < least:
		return g, fmt.Errorf("guest: %d CPUs and %d bytes of memory: at least 1 and %d", g.CPUs, g.Memory, least)
	case !slices.Contains([]string{"", guest.V2, guest.Hybrid, guest.V1}, g.Cgroup):
		return g, fmt.Errorf("guest: control groups %q: v2, hybrid or v1", g.Cgroup)
	case !slices.Contains([]string{"", KVM, TCG}, g.Accel):
		return g, fmt.Errorf("guest: accelerator %q: kvm, tcg, or none to try", g.Accel)
	case g.Instructions && g.Accel != TCG:
		return g, fmt.Errorf("guest: a clock of instructions needs the accelerator %s", TCG)
	case g.Container != nil && (len(g.Files) > 0 || g.Cgroup != "" || g.Records != nil):
		return g, errors.New("guest: a container has its own files, and neither control groups nor records")
	case len(g.Command) == 0 || !path.IsAbs(g.Command[0]):
		return g, fmt.Errorf("guest: command %q: the first word must be a path in the guest", g.Command)
	case g.Boot <= 0 || g.Limit <= 0:
		return g, errors.New("guest: both time limits must be set")
	case strings.ContainsFunc(strings.Join(g.Append, " "), func(r rune) bool { return r < ' ' || r > '~' }):
		return g, fmt.Errorf("guest: the kernel's command line %q: printable ASCII only", g.Append)
	}
	if err := checkFile(g.Kernel.Image); err != nil {
		return g, fmt.Errorf("guest: kernel %s: %w", g.Kernel.Name, err)
	}
	if err := checkProgram(g.Program, a.machine); err != nil {
		return g, fmt.Errorf("guest: program %s: %w", g.Program, err)
	}
	return g, nil
}

func checkFile(name string) error {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a file", name)
	}
	return nil
}

// checkProgram refuses what the kernel could not start as init: the guest has no libraries.
func checkProgram(name string, machine elf.Machine) error {
	f, err := elf.Open(name)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // read-only
	if f.Machine != machine {
		return fmt.Errorf("is for %v, and the kernel for %v: build it with its GOARCH", f.Machine, machine)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return errors.New("is not static: build it with CGO_ENABLED=0")
		}
	}
	return nil
}
