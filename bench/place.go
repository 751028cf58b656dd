package bench

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"cellwall/bench/load"
	"cellwall/runtime/cgroup"
	"cellwall/runtime/cleanup"
	"cellwall/runtime/core"
	"cellwall/runtime/driver"
	"cellwall/runtime/kernel"
	"cellwall/runtime/lease"
	"cellwall/runtime/rootfs"
	"cellwall/runtime/spec"
)

// Place is what a worker has on the host. Close removes it all; what a killed worker leaves is found by
// its lease (cellwall clean).
type Place struct {
	// Name starts with cellwall- and starts the name of every object on the host.
	Name string
	// Dir is on a tmpfs where there is one; Disk is the lease's.
	Dir, Disk string
	// Binary is a copy of this program.
	Binary string
	// Root is the root directory: the load program and the tiny ones of package load.
	Root string
	// Tree is the host's cgroups, Fence the group that bounds all containers of the worker.
	Tree  *cgroup.Tree
	Fence *cgroup.Group
	// Bounds are the fence's own limits.
	Bounds cgroup.Limits
	// Core is our own runtime.
	Core driver.Runtime
	// Options is what specs are made of.
	Options spec.Options

	undo cleanup.Stack
}

// NewPlace prepares the host, with its lease below dir. It needs root: without it the error says so.
func NewPlace(dir string) (_ *Place, err error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("benchmarks make containers and cgroups, which needs root: run them with sudo")
	}
	p := &Place{}
	defer p.undo.OnError(&err)
	held, err := lease.Take(dir)
	if err != nil {
		return nil, err
	}
	p.undo.Push("give back the lease", held.Close)
	p.Name, p.Disk, p.Dir = held.Name, held.Dir, held.Dir
	for _, step := range []func() error{p.directory, p.launcher, p.root, p.fence} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// Close undoes the place.
func (p *Place) Close() error { return p.undo.Close() }

// sharedMemory is a tmpfs on every host: shm_overview(7).
const sharedMemory = "/dev/shm"

// directory is one in shared memory, where that can hold programs: what a disk does is measured by the
// rows about that alone.
func (p *Place) directory() error {
	if onTmpfs(p.Disk) || !onTmpfs(sharedMemory) {
		return nil
	}
	p.Dir = filepath.Join(sharedMemory, p.Name)
	if err := os.Mkdir(p.Dir, 0o755); err != nil { //nolint:gosec // a mapped root must pass
		return fmt.Errorf("make the directory: %w", err)
	}
	p.undo.Push("remove the directory", func() error { return os.RemoveAll(p.Dir) })
	return nil
}

// onTmpfs reports whether a path lies on a tmpfs whose files can be executed.
func onTmpfs(path string) bool {
	var st unix.Statfs_t
	return unix.Statfs(path, &st) == nil && int64(st.Type) == unix.TMPFS_MAGIC && st.Flags&unix.ST_NOEXEC == 0
}

func (p *Place) root() error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	p.Binary = filepath.Join(p.Dir, "program")
	if err := copyFile(self, p.Binary); err != nil {
		return err
	}
	p.Root, err = p.newRoot(p.Dir)
	return err
}

// newRoot makes a root directory below dir with the load program and the tiny ones.
func (p *Place) newRoot(dir string) (string, error) {
	root, err := rootfs.Attacker(dir, p.Binary)
	if err != nil {
		return "", err
	}
	p.undo.Push("remove the root directory", root.Close)
	// A copy, since what runs from a file cannot be dropped from the page cache.
	if err := copyFile(p.Binary, filepath.Join(root.Path(), load.Program)); err != nil {
		return "", err
	}
	for name, code := range load.Tiny() {
		if err := os.WriteFile(filepath.Join(root.Path(), name), code, 0o755); err != nil { //nolint:gosec // containers execute it
			return "", fmt.Errorf("write a program: %w", err)
		}
	}
	// A runtime fills a /dev that nothing is mounted on, as the container's root.
	if err := os.Chown(filepath.Join(root.Path(), "dev"), int(p.Options.HostID), int(p.Options.HostID)); err != nil {
		return "", fmt.Errorf("give away /dev: %w", err)
	}
	data := filepath.Join(root.Path(), load.Data)
	if err := errors.Join(os.Mkdir(data, 0o777), os.Chmod(data, 0o777)); err != nil { //nolint:gosec // a mapped root writes there
		return "", fmt.Errorf("make a directory: %w", err)
	}
	return root.Path(), nil
}

func copyFile(from, to string) (err error) {
	in, err := os.Open(from) //nolint:gosec // our own program
	if err != nil {
		return fmt.Errorf("copy the program: %w", err)
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755) //nolint:gosec // containers execute it
	if err != nil {
		return fmt.Errorf("copy the program: %w", err)
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if _, err := io.Copy(out, in); err != nil {
		return fmt.Errorf("copy the program: %w", err)
	}
	if err := out.Sync(); err != nil { // what is not written yet cannot be dropped from the page cache
		return fmt.Errorf("copy the program: %w", err)
	}
	return nil
}

// The fence bounds all containers of a worker together. It is read back before anything runs.
const (
	fencePids   = 4096
	fenceMemory = 4 << 30 // at most, and never more than half of what the host has left
)

func (p *Place) fence() error {
	tree, err := cgroup.Find()
	if err != nil {
		return err
	}
	p.Tree = tree
	if err := tree.Level(); err != nil {
		return err
	}
	p.undo.Push("close the cgroup tree", tree.Close)
	available, err := availableMemory()
	if err != nil {
		return err
	}
	const page = 4096
	p.Bounds = cgroup.Limits{
		PidsMax: fencePids, MemoryMax: min(fenceMemory, available/2/page*page),
		Devices: []cgroup.DeviceRule{{Allow: true}},
	}
	p.Fence, err = tree.Create(p.Name, p.Bounds)
	if err != nil {
		return fmt.Errorf("fence the containers in: %w", err)
	}
	p.undo.Push("remove what runtimes made beside the fence", p.beside)
	p.undo.Push("remove the fence", p.Fence.Close)
	got, err := p.Fence.Limits()
	if err != nil {
		return fmt.Errorf("read the fence back: %w", err)
	}
	if got.PidsMax != p.Bounds.PidsMax || got.MemoryMax != p.Bounds.MemoryMax {
		return fmt.Errorf("the fence does not hold: pids.max is %d, memory.max %d", got.PidsMax, got.MemoryMax)
	}
	return nil
}

// beside removes the groups of the fence's name that runtimes have made in hierarchies where the fence
// is not: they make theirs in all that are mounted.
func (p *Place) beside() error {
	groups, err := cgroup.At("/" + p.Name)
	if err != nil {
		return err
	}
	for _, path := range groups {
		err = errors.Join(err, cgroup.Remove(path))
	}
	return err
}

// Every worker has a block of host ids that no account has, nor, but for one chance in idBlocks, another:
// quotas of the kernel count by id.
const (
	firstBlock  = 1 << 30
	idBlock     = 1 << 17
	idBlocks    = 1 << 12
	hostIDCount = 1 << 16
)

func (p *Place) launcher() error {
	launcher, err := core.NewLauncher(core.LauncherOptions{})
	if err != nil {
		return err
	}
	p.undo.Push("close the launcher", launcher.Close)
	p.Core = driver.NewCore(launcher)
	capabilities, err := kernel.HeldCapabilities()
	if err != nil {
		return err
	}
	block := crc32.ChecksumIEEE([]byte(p.Name)) % idBlocks
	p.Options = spec.Options{Capabilities: capabilities, HostID: firstBlock + block*idBlock, IDCount: hostIDCount}
	return nil
}
