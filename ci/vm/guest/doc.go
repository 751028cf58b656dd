// Package guest is the inside of a virtual machine that ci/vm boots: the same binary, run by the
// kernel as /init.
//
// It brings up what a system is expected to have (file systems, a root directory of its own,
// modules, loopback, control groups), runs one command, tells the outside what the command writes
// and how it ended, and switches the machine off. The order and the reasons are in Main.
//
// All of it would ruin a machine that is somebody's. Here decides, and asks for everything that
// only a guest of ours has.
package guest

import (
	"encoding/json"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Where things lie in the initramfs.
const (
	Init            = "/init"
	Program         = "/cellwall" // the binary; Init is a link to it
	DescriptionPath = "/cellwall-guest.json"
	ModulePath      = "/cellwall-modules" // a directory that is gone once they are loaded
)

// Port is the name of the virtio-serial port that carries the frames.
const Port = "org.cellwall.records"

// Complaint starts what init says on the console when it cannot go on. The outside looks for it
// to tell its own failure from the kernel's.
const Complaint = "cellwall init: "

// Records is the descriptor to which the command writes its records.
const Records = 3

// The ways to mount control groups, as Description.Cgroup has them.
const (
	V2     = "v2"     // one unified hierarchy at /sys/fs/cgroup, as systemd mounts it today
	Hybrid = "hybrid" // v1 controllers beside an unified hierarchy without any, as systemd mounted it
	V1     = "v1"     // each v1 controller by itself, and nothing else
)

// Description is what init is told. It is a file, as the kernel's command line is short.
type Description struct {
	Hostname string   `json:"hostname"`
	Cgroup   string   `json:"cgroup"`  // "" mounts none
	Modules  []string `json:"modules"` // files, in the order to load them
	Command  []string `json:"command"` // its first word is a path
	// Container makes the guest a container, whose program Command is.
	Container *Container `json:"container,omitempty"`
	// Seed is randomness from outside, credited in full: a machine without any makes programs
	// wait for it.
	Seed []byte `json:"seed,omitempty"`
}

// Here says whether this process is the init of a guest of ours. It must be asked before anything
// else is done, and all must be true: no container or host has a process 1 that was started as
// /init, from a root directory in memory, with our description in it.
func Here() bool {
	if os.Getpid() != 1 || len(os.Args) == 0 || os.Args[0] != Init {
		return false
	}
	if _, err := os.Lstat(DescriptionPath); err != nil {
		return false
	}
	return inMemory("/") == nil
}

// inMemory refuses a directory that is not in memory: nothing is moved or removed there.
func inMemory(dir string) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return fmt.Errorf("look at the file system of %s: %w", dir, err)
	}
	if kind := uint32(fs.Type); kind != unix.RAMFS_MAGIC && kind != unix.TMPFS_MAGIC {
		return fmt.Errorf("the file system of %s (%#x) is neither ramfs nor tmpfs: this is no initramfs", dir, kind)
	}
	return nil
}

// readDescription reads the description and removes it, so that Here is true once.
func readDescription(path string) (d Description, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return d, fmt.Errorf("read the description: %w", err)
	}
	if err := json.Unmarshal(text, &d); err != nil {
		return d, fmt.Errorf("read the description %s: %w", path, err)
	}
	if len(d.Command) == 0 {
		return d, fmt.Errorf("read the description %s: it has no command", path)
	}
	return d, os.Remove(path)
}
