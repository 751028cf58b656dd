package interfere

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/bench"
	"cellwall/bench/load"
	"cellwall/runtime/cgroup"
	"cellwall/runtime/cleanup"
	"cellwall/runtime/driver"
	"cellwall/runtime/kernel"
	"cellwall/runtime/rootfs"
	"cellwall/runtime/spec"
)

// The fence stands for the host: victim and antagonist are both in it, and what a host without limits would
// run out of, it does. It is larger than the limits of two containers at the rung of that name, and read
// back before anything runs. Its share of the CPUs is eight times the usual one, so that others on the host
// disturb less, and we get our say all the same while antagonists spin.
const (
	fenceMemory = 768 * mib
	fenceTasks  = 1024
	fenceShares = 8 * 1024
)

// Host is where pairs meet. Close removes it all; what a killed process leaves, cellwall clean finds by its
// lease.
type Host struct {
	place *bench.Place
	// Runtime makes the containers, as Asked names it.
	Runtime driver.Runtime
	Asked   string
	// Version is what the runtime says of itself.
	Version string

	fence *cgroup.Group
	apart *cgroup.Group // for the far end, which is on another host
	disk  string        // a directory on a disk; empty where there is none
	wire  *wire
	far   *bench.Guest
	made  int
	undo  cleanup.Stack
}

// NewHost prepares the host, with its lease below leases. It needs root.
func NewHost(ctx context.Context, leases, runtime string) (_ *Host, err error) {
	place, err := bench.NewPlace(leases)
	if err != nil {
		return nil, err
	}
	h := &Host{place: place, Asked: runtime}
	defer h.undo.OnError(&err)
	h.undo.Push("undo the place", place.Close)
	if h.Runtime, err = driver.Find(ctx, runtime, place.Core); err != nil {
		return nil, err
	}
	if h.Version, err = h.Runtime.Version(ctx); err != nil {
		return nil, err
	}
	if err := fits(h.Runtime, place.Options); err != nil {
		return nil, err
	}
	if err := h.makeFence(); err != nil {
		return nil, err
	}
	return h, h.makeDisk()
}

// fits is an error that wraps kernel.ErrNotSupported unless a runtime makes neighbours: what they do would
// else be done to the host.
func fits(rt driver.Runtime, o spec.Options) error {
	s, _ := rt.Lacks().Apply(spec.New(spec.Namespaces, o))
	for _, t := range []specs.LinuxNamespaceType{specs.PIDNamespace, specs.NetworkNamespace, specs.MountNamespace} {
		if !spec.HasNamespace(s, t) {
			return kernel.Unsupported("%s makes no neighbours: its containers have the host's %s namespace", rt.Name(), t)
		}
	}
	return nil
}

// Close undoes the host.
func (h *Host) Close() error { return h.undo.Close() }

// makeFence makes the group that stands for the host.
func (h *Host) makeFence() error {
	limits := cgroup.Limits{
		MemoryMax: min(fenceMemory, h.place.Bounds.MemoryMax), PidsMax: fenceTasks, CPUShares: fenceShares,
		Devices: []cgroup.DeviceRule{{Allow: true}},
	}
	for _, c := range []string{"cpuset", "io"} {
		if h.place.Tree.Require(c) == nil { // else what needs it says so
			limits.Controllers = append(limits.Controllers, c)
		}
	}
	if limits.MemoryMax < fenceMemory {
		return fmt.Errorf("interference needs %d MiB of free memory twice over: there are %d MiB", fenceMemory/mib, 2*limits.MemoryMax/mib)
	}
	var err error
	if h.fence, err = h.makeGroup("host", limits); err != nil {
		return err
	}
	if h.apart, err = h.makeGroup("far", cgroup.Limits{MemoryMax: fenceMemory, PidsMax: fenceTasks, CPUShares: fenceShares, Devices: limits.Devices}); err != nil {
		return err
	}
	return h.checkFence()
}

// makeGroup makes a group of the host that holds containers.
func (h *Host) makeGroup(suffix string, l cgroup.Limits) (*cgroup.Group, error) {
	name := h.place.Name + "-" + suffix
	g, err := h.place.Tree.Create(name, l)
	if err != nil {
		return nil, fmt.Errorf("fence the containers in: %w", err)
	}
	h.undo.Push("remove what runtimes made beside "+name, func() error { return cgroup.RemoveAt("/" + name) })
	h.undo.Push("remove "+name, g.Close)
	return g, nil
}

// checkFence reads the fence back.
func (h *Host) checkFence() error {
	got, err := h.fence.Limits()
	if err != nil {
		return fmt.Errorf("read the fence back: %w", err)
	}
	if got.MemoryMax != fenceMemory || got.PidsMax != fenceTasks {
		return fmt.Errorf("the fence does not hold: memory.max is %d, pids.max %d", got.MemoryMax, got.PidsMax)
	}
	return nil
}

// DiskParents are where the directory on a disk may lie: the first that is on one.
func DiskParents() []string {
	parents := []string{os.TempDir(), "/tmp", "/var/tmp"}
	if at := 1 + slices.Index(parents[1:], parents[0]); at > 0 { // TMPDIR is one of the others
		parents = slices.Delete(parents, at, at+1)
	}
	return parents
}

// makeDisk makes a directory on a disk that containers may write to. Where there is no disk, what needs one
// says so.
func (h *Host) makeDisk() error {
	for _, parent := range DiskParents() {
		if _, err := diskOf(parent); err != nil {
			continue
		}
		h.disk = filepath.Join(parent, h.place.Name)
		if err := os.Mkdir(h.disk, 0o700); err != nil {
			return fmt.Errorf("make a directory on the disk: %w", err)
		}
		h.undo.Push("remove the directory on the disk", func() error { return rootfs.Remove(h.disk) })
		if err := os.Chmod(h.disk, 0o777); err != nil { // a mapped root writes there
			return fmt.Errorf("open the directory on the disk: %w", err)
		}
		return nil
	}
	return nil
}

// diskOf is the block device, as a whole, on which a path lies.
func diskOf(path string) (dev uint64, err error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return 0, fmt.Errorf("find the disk of %s: %w", path, err)
	}
	device := fmt.Sprintf("/sys/dev/block/%d:%d", unix.Major(st.Dev), unix.Minor(st.Dev))
	if _, err := os.Stat(device); err != nil {
		return 0, kernel.Unsupported("%s is on no block device", path)
	}
	if _, err := os.Stat(filepath.Join(device, "partition")); err != nil {
		return st.Dev, nil //nolint:nilerr // it is a whole one
	}
	text, err := os.ReadFile(filepath.Join(device, "..", "dev")) // a link to the partition, in its disk's directory
	if err != nil {
		return 0, fmt.Errorf("find the disk of %s: %w", path, err)
	}
	var major, minor uint32
	if _, err := fmt.Sscanf(string(text), "%d:%d", &major, &minor); err != nil {
		return 0, fmt.Errorf("find the disk of %s: %.20q: %w", path, text, err)
	}
	return unix.Mkdev(major, minor), nil
}

// slowDisk limits writes to the disk of the directory.
func (h *Host) slowDisk() (spec.Edits, error) {
	if h.disk == "" {
		return nil, noDisk()
	}
	dev, err := diskOf(h.disk)
	if err != nil {
		return nil, err
	}
	device := func(rate uint64) []specs.LinuxThrottleDevice {
		d := specs.LinuxThrottleDevice{Rate: rate}
		d.Major, d.Minor = int64(unix.Major(dev)), int64(unix.Minor(dev))
		return []specs.LinuxThrottleDevice{d}
	}
	return spec.Edits{limit("a slow disk", func(r *specs.LinuxResources) {
		r.BlockIO = &specs.LinuxBlockIO{ThrottleWriteBpsDevice: device(diskRate), ThrottleWriteIOPSDevice: device(diskOps)}
	})}, nil
}

func noDisk() error {
	return kernel.Unsupported("none of %s is on a disk: set TMPDIR to a directory that is", strings.Join(DiskParents(), ", "))
}

// env is what a container is made with: in a fence, with names that no other env gives.
func (h *Host) env(rung spec.Rung, fence *cgroup.Group) *bench.Env {
	h.made++
	p := h.place
	return &bench.Env{
		Place: &bench.Place{
			Name: fmt.Sprintf("%s-%d", p.Name, h.made), Dir: p.Dir, Disk: p.Disk, Binary: p.Binary, Root: p.Root, Tree: p.Tree,
			Fence: fence, Bounds: p.Bounds, Core: p.Core, Options: p.Options,
		},
		Runtime: h.Runtime, Asked: h.Asked, Rung: rung,
	}
}

// link makes the wire and the far end, once. The far end is another host: it is outside of the fence.
func (h *Host) link(ctx context.Context) error {
	if h.wire != nil {
		return nil
	}
	w, err := newWire()
	if err != nil {
		return err
	}
	h.undo.Push("undo the wire", w.close)
	far, _, err := h.env(spec.Namespaces, h.apart).Launch(ctx, load.Far, nil)
	if err != nil {
		return err
	}
	h.undo.Push("end the far end", far.Close)
	view, err := h.within(far.Container.Pid(), h.apart)
	if err != nil {
		return err
	}
	if err := view.Close(); err != nil {
		return err
	}
	if err := w.connectFar(far.Container.Pid()); err != nil {
		return err
	}
	h.wire, h.far = w, far
	return nil
}
