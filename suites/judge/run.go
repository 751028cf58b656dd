package judge

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"cellwall/reports/record"
	"cellwall/runtime/cgroup"
	"cellwall/runtime/cleanup"
	"cellwall/runtime/core"
	"cellwall/runtime/driver"
	"cellwall/runtime/kernel"
	"cellwall/runtime/lease"
	"cellwall/runtime/spec"
	"cellwall/suites/claim"
)

// Run is what all trials of one invocation share on the host. Close removes it all.
type Run struct {
	// Name starts with cellwall- and starts the name of every host object of the run.
	Name string
	// Dir is the run's directory; trials make their own below it.
	Dir string
	// Lease is the lease's directory.
	Lease string
	// Binary is the attacker: a copy of this program, so that a container that can write to it
	// harms nothing.
	Binary string
	// Tree is the host's cgroups, Fence the group that bounds every container of the run.
	Tree  *cgroup.Tree
	Fence *cgroup.Group
	// Core is our own runtime.
	Core driver.Runtime
	// Options is what specs are made of.
	Options spec.Options

	trials  atomic.Int64
	seconds seconds
	undo    cleanup.Stack
}

// The fence bounds all containers together, also those whose own limits an edit took away. It
// is read back before anything runs.
const (
	fencePids   = 1024
	fenceMemory = 1 << 30
)

// Every run has a block of host ids that no account has, nor, but for one chance in idBlocks,
// another run: quotas of the kernel count by id. Its user namespaces map to the start of it, and
// its baits use what begins at baitIDs.
const (
	firstBlock  = 1 << 28
	idBlock     = 1 << 18
	idBlocks    = 1 << 12
	hostIDCount = 1 << 16
	baitIDs     = 1 << 17
)

// block returns the first id of a run's block.
func block(name string) uint32 {
	return firstBlock + crc32.ChecksumIEEE([]byte(name))%idBlocks*idBlock
}

// NewRun prepares the host, with its lease below dir. It needs root: without it the error says so.
func NewRun(dir string) (_ *Run, err error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("verifying a host needs root: run it with sudo, or in a privileged container")
	}
	r := &Run{}
	defer r.undo.OnError(&err)
	held, err := lease.Take(dir)
	if err != nil {
		return nil, err
	}
	r.undo.Push("give back the lease", held.Close)
	r.Name, r.Lease = held.Name, held.Dir
	if err := r.directory(held.Dir); err != nil {
		return nil, err
	}
	if err := r.attacker(); err != nil {
		return nil, err
	}
	if err := r.fence(); err != nil {
		return nil, err
	}
	launcher, err := core.NewLauncher(core.LauncherOptions{})
	if err != nil {
		return nil, err
	}
	r.undo.Push("close the launcher", launcher.Close)
	r.Core = driver.NewCore(launcher)
	capabilities, err := kernel.HeldCapabilities()
	if err != nil {
		return nil, err
	}
	r.Options = spec.Options{Capabilities: capabilities, HostID: block(r.Name), IDCount: hostIDCount}
	return r, nil
}

// Close undoes the run.
func (r *Run) Close() error { return r.undo.Close() }

// sharedMemory is a tmpfs on every host: shm_overview(7).
const sharedMemory = "/dev/shm"

// directory is the lease's, or one in shared memory where that is no tmpfs: every trial makes a
// root directory, which takes ext4 ten times as long once inodes are used again (recently_deleted
// in fs/ext4/ialloc.c).
func (r *Run) directory(leased string) error {
	r.Dir = leased
	if onTmpfs(leased) || !onTmpfs(sharedMemory) {
		return nil
	}
	r.Dir = filepath.Join(sharedMemory, r.Name)
	if err := os.Mkdir(r.Dir, 0o755); err != nil { //nolint:gosec // a mapped root must pass
		return fmt.Errorf("make the run's directory: %w", err)
	}
	r.undo.Push("remove the run's directory", func() error { return os.RemoveAll(r.Dir) })
	return nil
}

// onTmpfs reports whether a path lies on a tmpfs whose files can be executed.
func onTmpfs(path string) bool {
	var st unix.Statfs_t
	return unix.Statfs(path, &st) == nil && int64(st.Type) == unix.TMPFS_MAGIC && st.Flags&unix.ST_NOEXEC == 0
}

func (r *Run) attacker() error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	r.Binary = filepath.Join(r.Dir, "attacker")
	return copyFile(self, r.Binary)
}

func copyFile(from, to string) (err error) {
	in, err := os.Open(from) //nolint:gosec // our own program
	if err != nil {
		return fmt.Errorf("copy the attacker: %w", err)
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755) //nolint:gosec // containers execute it
	if err != nil {
		return fmt.Errorf("copy the attacker: %w", err)
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if _, err := io.Copy(out, in); err != nil {
		return fmt.Errorf("copy the attacker: %w", err)
	}
	return nil
}

func (r *Run) fence() error {
	tree, err := cgroup.Find()
	if err != nil {
		return err
	}
	r.Tree = tree
	if err := tree.Level(); err != nil {
		return err
	}
	r.undo.Push("close the cgroup tree", tree.Close)
	limits := cgroup.Limits{
		PidsMax: fencePids, MemoryMax: fenceMemory,
		Devices: []cgroup.DeviceRule{{Allow: true}},
	}
	for _, c := range []string{"cpuset", "io", "hugetlb"} {
		// A container's limit needs the controller in every group above it.
		if tree.Require(c) == nil {
			limits.Controllers = append(limits.Controllers, c)
		}
	}
	r.Fence, err = tree.Create(r.Name, limits)
	if err != nil {
		return fmt.Errorf("fence the containers in: %w", err)
	}
	r.undo.Push("remove what runtimes made beside the fence", r.beside)
	r.undo.Push("remove the fence", r.Fence.Close)
	// Set reads back what it writes; this asks once more, since everything rests on it.
	got, err := r.Fence.Limits()
	if err != nil {
		return fmt.Errorf("read the fence back: %w", err)
	}
	if got.PidsMax != fencePids || got.MemoryMax != fenceMemory {
		return fmt.Errorf("the fence does not hold: pids.max is %d, memory.max %d", got.PidsMax, got.MemoryMax)
	}
	return nil
}

// beside removes the groups of the fence's name that runtimes have made in hierarchies where the
// fence is not: they make theirs in all that are mounted.
func (r *Run) beside() error {
	groups, err := cgroup.At("/" + r.Name)
	if err != nil {
		return err
	}
	for _, path := range groups {
		err = errors.Join(err, cgroup.Remove(path))
	}
	return err
}

// Judge returns the judge of one runtime.
func (r *Run) Judge(ctx context.Context, rt driver.Runtime) (*Judge, error) {
	if err := claim.Check(rt); err != nil {
		return nil, err
	}
	version, err := rt.Version(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask %s for its version: %w", rt.Name(), err)
	}
	return &Judge{Run: r, Runtime: rt, Version: version}, nil
}

// Record describes the host for the records of the run.
func (r *Run) Record(selection []string, runtimes []record.Runtime, rows int) (record.Run, error) {
	facts, err := kernel.Facts()
	if err != nil {
		return record.Run{}, err
	}
	return record.Run{
		ID: r.Name, Time: time.Now().UTC(),
		Kernel: facts.Release, Machine: facts.Machine, CPUs: facts.CPUs, MemoryBytes: facts.MemoryBytes,
		BootID: facts.BootID, Lockdown: facts.Lockdown,
		CgroupMode: string(r.Tree.Mode()), Controllers: r.Tree.Controllers(),
		Runtimes: runtimes, Selection: selection, CatalogueLen: rows,
	}, nil
}
