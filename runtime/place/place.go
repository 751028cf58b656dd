// Package place is what a process that makes many containers has on the host: a lease, a directory,
// host ids of its own, a cgroup that bounds all of its containers, and the core.
package place

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"cellwall/runtime/cgroup"
	"cellwall/runtime/cleanup"
	"cellwall/runtime/core"
	"cellwall/runtime/driver"
	"cellwall/runtime/kernel"
	"cellwall/runtime/lease"
	"cellwall/runtime/rootfs"
	"cellwall/runtime/spec"
)

// Place is a process's own. Close removes all of it; what a killed process leaves is found by its
// lease.
type Place struct {
	// Name starts with cellwall- and starts the name of every object on the host.
	Name string
	// Lease is the lease's directory. Dir is that too, or one on a tmpfs where the lease's is not, or see
	// Unrestricted.
	Lease, Dir string
	// Tree is the host's cgroups, Fence the group that bounds every container.
	Tree  *cgroup.Tree
	Fence *cgroup.Group
	// Core is our own runtime.
	Core driver.Runtime
	// Options is what specs are made of.
	Options spec.Options
	// Undo is run by Close, last in first out.
	Undo cleanup.Stack

	held *lease.Lease
}

// IDCount is how many host ids a user namespace of Options has. SpareIDs is the offset from
// Options.HostID of as many that are nobody's.
const (
	IDCount  = 1 << 16
	SpareIDs = 1 << 17
)

// Every place has a block of host ids that no account has, nor, but for one chance in idBlocks,
// another place: quotas of the kernel count by id.
const (
	firstBlock = 1 << 28
	idBlock    = 1 << 18
	idBlocks   = 1 << 12
)

// Take makes a place, with its lease below dir. It needs root. The fence lets all containers together
// have so many tasks and bytes of memory, which is read back before anything runs in it.
func Take(dir string, tasks, memory uint64) (_ *Place, err error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("this needs root, as it makes cgroups: run it with sudo, or in a privileged container")
	}
	p := &Place{}
	defer p.Undo.OnError(&err)
	// Users of containers must pass to what is made for them, whatever the shell's umask.
	umask := unix.Umask(0o022)
	p.Undo.Push("restore the umask", func() error { unix.Umask(umask); return nil })
	held, err := lease.Take(dir)
	if err != nil {
		return nil, err
	}
	p.Undo.Push("give back the lease", held.Close)
	p.held, p.Name, p.Lease, p.Dir = held, held.Name, held.Dir, held.Dir
	if err := p.raiseHardLimits(); err != nil {
		return nil, err
	}
	if err := p.directory(); err != nil {
		return nil, err
	}
	if err := p.fence(tasks, memory); err != nil {
		return nil, err
	}
	launcher, err := core.NewLauncher(core.LauncherOptions{})
	if err != nil {
		return nil, err
	}
	p.Undo.Push("close the launcher", launcher.Close)
	p.Core = driver.NewCore(launcher)
	capabilities, err := kernel.HeldCapabilities()
	if err != nil {
		return nil, err
	}
	block := crc32.ChecksumIEEE([]byte(p.Name)) % idBlocks
	p.Options = spec.Options{Capabilities: capabilities, HostID: firstBlock + block*idBlock, IDCount: IDCount}
	return p, nil
}

// raiseHardLimits lets containers have the resource limits that specs give them. One in a user namespace
// can set none above the launcher's hard limit (getrlimit(2)), which shells and services set low.
func (p *Place) raiseHardLimits() error {
	const sigpending, msgqueue = 11, 12 // RLIMIT_*, of asm-generic/resource.h
	for _, resource := range []int{unix.RLIMIT_CORE, unix.RLIMIT_MEMLOCK, sigpending, msgqueue} {
		var old unix.Rlimit
		if err := unix.Prlimit(0, resource, nil, &old); err != nil {
			return fmt.Errorf("read a resource limit: %w", err)
		}
		err := unix.Prlimit(0, resource, &unix.Rlimit{Cur: old.Cur, Max: unix.RLIM_INFINITY}, nil)
		if errors.Is(err, unix.EPERM) {
			return nil // without CAP_SYS_RESOURCE: what cannot be set is refused by name
		}
		if err != nil {
			return fmt.Errorf("raise a hard limit: %w", err)
		}
		p.Undo.Push("restore a hard limit", func() error { return unix.Prlimit(0, resource, &old, nil) })
	}
	return nil
}

// Close undoes the place.
func (p *Place) Close() error { return p.Undo.Close() }

// sharedMemory is a tmpfs on every host: shm_overview(7).
const sharedMemory = "/dev/shm"

// Unrestricted has Dir lie where programs, set-user-ID bits and device nodes work, if there is such a place:
// attacks that need them fail elsewhere, whatever the container.
func (p *Place) Unrestricted() (err error) {
	if !lease.Restricted(p.Dir) {
		return nil
	}
	p.Dir, err = p.held.Unrestricted(sharedMemory, lease.OnDisk)
	return err
}

// directory makes one in shared memory where the lease's is on a disk: every container has a root
// directory, which takes ext4 ten times as long once inodes are used again (recently_deleted in
// fs/ext4/ialloc.c).
func (p *Place) directory() error {
	if onTmpfs(p.Lease) || !onTmpfs(sharedMemory) {
		return nil
	}
	p.Dir = filepath.Join(sharedMemory, p.Name)
	if err := os.Mkdir(p.Dir, 0o755); err != nil { // a mapped root must pass
		return fmt.Errorf("make a directory: %w", err)
	}
	dir := p.Dir
	p.Undo.Push("remove the directory", func() error { return rootfs.Remove(dir) })
	return nil
}

// onTmpfs reports whether a path lies on a tmpfs that takes files, and lets them be executed.
func onTmpfs(path string) bool {
	var st unix.Statfs_t
	return unix.Statfs(path, &st) == nil && int64(st.Type) == unix.TMPFS_MAGIC && st.Flags&(unix.ST_NOEXEC|unix.ST_RDONLY) == 0
}

// CopySelf copies this program to a name below Dir and returns its path, so that a container that can
// write to it harms nothing.
func (p *Place) CopySelf(name string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find this program: %w", err)
	}
	to := filepath.Join(p.Dir, name)
	return to, CopyProgram(self, to)
}

// CopyProgram copies a program to a file that is not there yet, and lets everybody execute it.
func CopyProgram(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("copy the program: %w", err)
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	return WriteProgram(in, to)
}

// WriteProgram writes a program to a file that is not there yet, and lets everybody execute it.
func WriteProgram(from io.Reader, to string) (err error) {
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return fmt.Errorf("copy the program: %w", err)
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if _, err := io.Copy(out, from); err != nil {
		return fmt.Errorf("copy the program: %w", err)
	}
	return nil
}
