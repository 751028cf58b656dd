package guest

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Container is a guest with a single program, of which the root directory is all that was unpacked. Nothing
// of init's own can be found there once the program runs.
type Container struct {
	Env    []string `json:"env"`
	Dir    string   `json:"dir"`
	UID    uint32   `json:"uid"`
	GID    uint32   `json:"gid"`
	Groups []uint32 `json:"groups"`
	Mounts []Mount  `json:"mounts"` // in their order, on top of /proc, /sys and /dev
}

// Mount is a file system of the guest's kernel, in the words of mount(2).
type Mount struct {
	Type   string  `json:"type"`
	Source string  `json:"source"`
	Path   string  `json:"path"`
	Flags  uintptr `json:"flags"`
	Data   string  `json:"data"`
}

// setUp removes what init has brought along, and mounts.
func (c *Container) setUp() error {
	for _, name := range []string{Init, Program} {
		if err := os.Remove(name); err != nil {
			return fmt.Errorf("remove what init has brought: %w", err)
		}
	}
	for _, m := range c.Mounts {
		if err := os.MkdirAll(m.Path, 0o755); err != nil {
			return fmt.Errorf("mount %s on %s: %w", m.Type, m.Path, err)
		}
		err := unix.Mount(m.Source, m.Path, m.Type, m.Flags, m.Data)
		if errors.Is(err, unix.EBUSY) { // init has mounted it: only its flags are left to set
			err = unix.Mount("", m.Path, "", unix.MS_REMOUNT|unix.MS_BIND|m.Flags, "")
		}
		if err != nil {
			return fmt.Errorf("mount %s on %s: %w", m.Type, m.Path, err)
		}
	}
	return nil
}

// attributes are how the program starts. Its input is what the outside sends.
func (c *Container) attributes(in *inbox) (attr *syscall.ProcAttr, stdin *os.File, err error) {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return nil, nil, fmt.Errorf("start the command: %w", err)
	}
	in.passTo(os.NewFile(uintptr(pipe[1]), "stdin"))
	return &syscall.ProcAttr{Dir: c.Dir, Env: c.Env, Sys: &syscall.SysProcAttr{
		// The first network namespace of every kernel has the same number: an attack that would harm the host's takes
		// the guest's for it, and is not made.
		Setsid: true, Cloneflags: unix.CLONE_NEWNET, Credential: &syscall.Credential{Uid: c.UID, Gid: c.GID, Groups: c.Groups},
	}}, os.NewFile(uintptr(pipe[0]), "stdin"), nil
}

// Input is one line that the outside sends to a container: what its program reads. The first without data is
// the end.
type Input struct {
	Data []byte `json:"data,omitempty"`
}

// errUnknown is of an outside of another version.
var errUnknown = errors.New("the outside has sent what is neither input nor its last word")
