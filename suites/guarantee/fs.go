package guarantee

import (
	"path"
	"path/filepath"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/spec"
	"cellwall/suites/attack"
	"cellwall/suites/sentinel"
)

func fsRows() []Guarantee {
	return slices.Concat([]Guarantee{{
		ID:       "fs.dotdot",
		Claim:    "cannot reach the host tree through '..' from its root",
		Source:   "chroot(2), path_resolution(7)",
		Barrier:  "root directory",
		Rung:     spec.Chroot,
		Attack:   attack.Dotdot,
		Witness:  sentinel.CanaryFile,
		Refusal:  Refusals{unix.ENOENT: RootDirectory},
		Controls: spec.Edits{spec.HostRootDirectory()},
	}, {
		ID:       "fs.nested-chroot",
		Claim:    "cannot leave its root by a nested chroot",
		Source:   "chroot(2), pivot_root(2)",
		Barrier:  "pivot_root",
		Rung:     spec.Namespaces,
		Attack:   attack.NestedChroot,
		Witness:  sentinel.CanaryBeyondChroot,
		Refusal:  Refusals{unix.ENOENT: MountNamespace, unix.EPERM: Capability},
		Controls: spec.Edits{spec.Omitting("chroot instead of pivot_root", "pivot-root")},
	}, {
		ID:       "fs.proc-root-link",
		Claim:    "cannot follow /proc/PID/root or cwd links of host processes",
		Source:   "proc_pid_root(5), pid_namespaces(7)",
		Barrier:  "pid namespace",
		Rung:     spec.Namespaces,
		Attack:   attack.ProcRootLink,
		Witness:  sentinel.CanaryBehindProcess,
		Refusal:  Refusals{unix.ENOENT: PIDNamespace, unix.EACCES: UserNamespace},
		Controls: spec.Edits{spec.WithoutNamespace(specs.PIDNamespace)},
	}, {
		ID:       "fs.inherited-dirfd",
		Claim:    "inherits no host file descriptor beyond its stdio",
		Source:   "CVE-2016-9962, CVE-2024-21626",
		Barrier:  "close-on-exec of launcher descriptors",
		Rung:     spec.Runtime,
		Attack:   attack.InheritedDirfd,
		Witness:  sentinel.NothingInherited,
		Refusal:  Refusals{unix.EBADF: RuntimeItself},
		Controls: spec.Edits{spec.Omitting("the launcher's descriptors", "close-descriptors")},
	}, {
		ID:      "fs.cwd-leak",
		Claim:   "cannot start with a working directory outside its root",
		Source:  "CVE-2024-21626",
		Barrier: "cwd verified after chdir",
		Rung:    spec.Runtime,
		Attack:  attack.CwdLeak,
		Witness: sentinel.StartsInside,
		// Otherwise the descriptor behind which the directory lies would be closed.
		Both:     spec.Edits{spec.Omitting("the launcher's descriptors", "close-descriptors")},
		Controls: spec.Edits{spec.Omitting("a working directory behind magic links", "cwd-magic-links")},
	}, {
		ID:      "fs.image-symlink",
		Claim:   "cannot redirect runtime mounts or device nodes through image symlinks",
		Source:  "openat2(2), CVE-2019-19921, CVE-2023-27561",
		Barrier: "in-root path resolution",
		Rung:    spec.Runtime,
		Attack:  attack.ImageSymlink,
		Witness: sentinel.OutsideUntouched,
		Controls: spec.Edits{
			spec.Omitting("mount targets joined to the root directory", "in-root-resolution"),
			{Name: sentinel.MakesDevicesBehindLinks},
		},
	}, {
		ID:       "fs.mask-source",
		Claim:    "cannot make the runtime mask with a counterfeit /dev/null",
		Source:   "CVE-2025-31133",
		Barrier:  "mask source verified by inode",
		Rung:     spec.Runtime,
		Attack:   attack.MaskSource,
		Witness:  sentinel.MaskIsNull,
		Controls: spec.Edits{spec.Omitting("the image's /dev/null as mask", "mask-source")},
	}, {
		ID:       "fs.masked-path",
		Claim:    "cannot read or change masked paths",
		Source:   "OCI runtime-spec, config-linux.md, maskedPaths",
		Barrier:  "masked path",
		Rung:     spec.Hardened,
		Attack:   attack.MaskedPath,
		Witness:  sentinel.FixtureMasked,
		Refusal:  Refusals{unix.EBUSY: Mount, unix.ENOENT: Mount, unix.EROFS: Mount},
		Controls: spec.Edits{spec.Change("nothing masked", func(s *specs.Spec) { s.Linux.MaskedPaths = nil })},
	}, {
		ID:       "fs.readonly-path",
		Claim:    "cannot write to read-only paths or mounts",
		Source:   "OCI runtime-spec, config-linux.md, readonlyPaths; config.md, mounts",
		Barrier:  "read-only path",
		Rung:     spec.Hardened,
		Attack:   attack.ReadonlyPath,
		Witness:  sentinel.FixtureReadonly,
		Refusal:  Refusals{unix.EROFS: Mount},
		Controls: spec.Edits{noReadonlyPaths()},
	}, {
		ID:       "fs.host-mount",
		Claim:    "has no mount of a host file system that it was not given",
		Source:   "mount_namespaces(7), pivot_root(2)",
		Barrier:  "mount namespace",
		Rung:     spec.Namespaces,
		Attack:   attack.HostMount,
		Witness:  sentinel.NothingOfTheHost,
		Refusal:  Refusals{unix.ENOENT: MountNamespace},
		Controls: spec.Edits{spec.Change("a directory of the host mounted", mountOutside)},
	}, {
		ID:       "fs.control-sockets",
		Claim:    "cannot reach host control sockets",
		Source:   "unix(7), mount_namespaces(7)",
		Barrier:  "mount namespace",
		Rung:     spec.Namespaces,
		Attack:   attack.ControlSockets,
		Witness:  sentinel.SocketUnreached,
		Refusal:  Refusals{unix.ENOENT: MountNamespace},
		Controls: spec.Edits{spec.Change("the host's socket directory mounted", mountSockets)},
	}, {
		ID:       "fs.bundle-private",
		Claim:    "exposes its root filesystem and state to no unprivileged host user",
		Source:   "CVE-2021-41103",
		Barrier:  "mode of the bundle, which the runtime leaves as it is, and of its state",
		Rung:     spec.Runtime,
		Attack:   attack.BundlePrivate,
		Witness:  sentinel.PlantedUnreached,
		Controls: spec.Edits{{Name: sentinel.OpenBundle}, {Name: sentinel.ShowsRoot}, {Name: sentinel.OpenState}},
	}}, fsVolumeRows(), fsHardenedRows())
}

// mountOutside shows the container a directory of the host that it was not given.
func mountOutside(s *specs.Spec) {
	source := filepath.Join(filepath.Dir(s.Root.Path), sentinel.OutsideDirectory)
	spec.WithMount(spec.Bind(source, "/mnt")).Apply(s)
}

// mountSockets shows the container the directory in which the host has its control socket.
func mountSockets(s *specs.Spec) {
	source := filepath.Join(filepath.Dir(s.Root.Path), sentinel.SocketDirectory)
	spec.WithMount(spec.Bind(source, "/run")).Apply(s)
}

// volumeWithout takes one option from the trial's volumes.
func volumeWithout(option string) spec.Edit {
	return spec.Change("a volume without "+option, func(s *specs.Spec) {
		for i := range s.Mounts {
			if m := &s.Mounts[i]; sentinel.IsVolume(*m) {
				m.Options = slices.DeleteFunc(m.Options, func(o string) bool { return o == option })
			}
		}
	})
}

// volumeWith adds one option to the trial's volumes.
func volumeWith(option string) spec.Edit {
	return spec.Change("a volume with "+option, func(s *specs.Spec) {
		for i := range s.Mounts {
			if m := &s.Mounts[i]; sentinel.IsVolume(*m) {
				m.Options = append(m.Options, option)
			}
		}
	})
}

// oneVolume shows the directory that two volumes have in common, in place of the two.
func oneVolume(s *specs.Spec) {
	i := slices.IndexFunc(s.Mounts, sentinel.IsVolume)
	if i < 0 {
		return
	}
	first := s.Mounts[i]
	s.Mounts = slices.DeleteFunc(s.Mounts, sentinel.IsVolume)
	spec.WithMount(spec.Bind(path.Dir(first.Source), path.Dir(first.Destination))).Apply(s)
}
