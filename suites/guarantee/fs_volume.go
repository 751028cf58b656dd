package guarantee

import (
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
	"cellwall/suites/attack"
	"cellwall/suites/sentinel"
)

// fsVolumeRows are about what a mount of the host lets through.
func fsVolumeRows() []Guarantee {
	return []Guarantee{{
		ID:       "fs.readonly-root",
		Claim:    "cannot write to a read-only root",
		Source:   "OCI runtime-spec, config.md, root.readonly",
		Barrier:  "read-only root mount",
		Rung:     spec.Namespaces,
		Attack:   attack.ReadonlyRoot,
		Witness:  sentinel.RootUnchanged,
		Refusal:  Refusals{unix.EROFS: Mount},
		Controls: spec.Edits{spec.Change("a writable root directory", func(s *specs.Spec) { s.Root.Readonly = false })},
	}, {
		ID:      "fs.rro-submount",
		Claim:   "cannot write to submounts of a recursively read-only volume",
		Source:  "mount_setattr(2)",
		Barrier: "mount_setattr(AT_RECURSIVE)",
		Rung:    spec.Namespaces,
		Gates:   []*kernel.Feature{kernel.MountSetattr},
		Attack:  attack.RROSubmount,
		Witness: sentinel.SubmountUnchanged,
		Refusal: Refusals{unix.EROFS: Mount},
		// Some runtimes make every read-only volume so.
		Controls: spec.Edits{spec.OnCore(spec.Change("a volume read-only at its top", func(s *specs.Spec) {
			volumeWithout("rro").Apply(s)
			volumeWith("ro").Apply(s)
		}))},
	}, {
		ID:      "fs.mount-propagation",
		Claim:   "cannot propagate its mounts or unmounts to the host",
		Source:  "mount_namespaces(7)",
		Barrier: "private or slave propagation",
		Rung:    spec.Namespaces,
		Attack:  attack.MountPropagation,
		Witness: sentinel.HostMountsUnchanged,
		// Some runtimes cut a volume off from its source whatever they are told.
		Controls: spec.Edits{spec.OnCore(volumeWith("rshared"))},
	}, {
		ID:       "fs.nosuid",
		Claim:    "cannot change uid by a setuid binary on a nosuid mount",
		Source:   "mount(2), execve(2)",
		Barrier:  "mount flag nosuid",
		Rung:     spec.Namespaces,
		Attack:   attack.NosuidVolume,
		Witness:  sentinel.HelperGainsNothing,
		Controls: spec.Edits{volumeWithout("nosuid")},
	}, {
		ID:      "fs.nodev",
		Claim:   "cannot open a device node on a nodev mount",
		Source:  "mount(2), loop(4)",
		Barrier: "mount flag nodev",
		Rung:    spec.Namespaces,
		Gates:   []*kernel.Feature{kernel.LoopDevice},
		Attack:  attack.NodevVolume,
		Witness: sentinel.NodeUnread,
		Refusal: Refusals{unix.EACCES: Mount},
		// Runtimes have a device filter also where none is asked for.
		Both:     spec.Edits{spec.Change("all devices allowed", allowDevices)},
		Controls: spec.Edits{volumeWithout("nodev")},
	}, {
		ID:       "fs.noexec",
		Claim:    "cannot execute a file on a noexec mount",
		Source:   "mount(2), execve(2), mmap(2)",
		Barrier:  "mount flag noexec",
		Rung:     spec.Namespaces,
		Attack:   attack.NoexecVolume,
		Witness:  sentinel.ProgramNotRun,
		Refusal:  Refusals{unix.EACCES: Mount, unix.EPERM: Mount},
		Controls: spec.Edits{volumeWithout("noexec")},
	}, {
		ID:       "fs.proc-mem",
		Claim:    "cannot write a read-only mapped host file through /proc/self/mem",
		Source:   "proc_pid_mem(5), CVE-2016-5195",
		Barrier:  "read-only mount",
		Rung:     spec.Namespaces,
		Attack:   attack.ProcMem,
		Witness:  sentinel.MappedFileUnchanged,
		Refusal:  Refusals{unix.EROFS: Mount, unix.EIO: Kernel},
		Controls: spec.Edits{volumeWithout("ro")},
	}, {
		ID:       "fs.hardlink-host",
		Claim:    "cannot hard-link or rename files across its mounts",
		Source:   "link(2), rename(2)",
		Barrier:  "mount boundary",
		Rung:     spec.Namespaces,
		Attack:   attack.HardlinkHost,
		Witness:  sentinel.LinksUnchanged,
		Refusal:  Refusals{unix.EXDEV: Mount},
		Controls: spec.Edits{spec.Change("one volume of the common directory", oneVolume)},
	}, {
		ID:       "fs.overlay-lower",
		Claim:    "cannot change its image layers through the overlay",
		Source:   "kernel Documentation/filesystems/overlayfs.rst, CVE-2023-0386",
		Barrier:  "overlay upper directory",
		Kept:     ByKernel,
		Rung:     spec.Namespaces,
		Gates:    []*kernel.Feature{kernel.Overlay},
		Attack:   attack.OverlayLower,
		Witness:  sentinel.LayerUnchanged,
		Refusal:  Refusals{unix.EPERM: Kernel}, // of a whiteout by hand: ovl_mknod
		Controls: spec.Edits{{Name: sentinel.LowerAsRoot}},
	}}
}

func allowDevices(s *specs.Spec) {
	if s.Linux.Resources == nil {
		s.Linux.Resources = &specs.LinuxResources{}
	}
	s.Linux.Resources.Devices = []specs.LinuxDeviceCgroup{{Allow: true, Access: "rwm"}}
}
