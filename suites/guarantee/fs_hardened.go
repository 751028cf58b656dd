package guarantee

import (
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
	"cellwall/suites/attack"
	"cellwall/suites/sentinel"
)

// fsHardenedRows are about what capabilities and user namespaces keep from a container.
func fsHardenedRows() []Guarantee {
	return []Guarantee{{
		ID:      "fs.locked-mounts",
		Claim:   "cannot weaken or peel off inherited mounts from a nested user namespace",
		Source:  "mount_namespaces(7), Restrictions on mount namespaces",
		Barrier: "locked mounts (user namespace)",
		Rung:    spec.Hardened,
		Gates:   []*kernel.Feature{kernel.UserNamespace},
		Attack:  attack.LockedMounts,
		Witness: sentinel.CoverKept,
		Refusal: Refusals{unix.EINVAL: UserNamespace},
		// With a user namespace of its own the container may hold mounts that are locked for it, too: nspawn makes them first.
		Both: spec.Edits{spec.WithoutNamespace(specs.UserNamespace), spec.Unconfined()},
		// The attacker then acts in the mount namespace that made the mounts.
		Controls: spec.Edits{spec.WithCapability("CAP_SYS_ADMIN")},
	}, {
		ID:       "fs.mount-capability",
		Claim:    "cannot mount, remount or unmount anything",
		Source:   "mount(2), capabilities(7)",
		Barrier:  "capability CAP_SYS_ADMIN",
		Rung:     spec.Hardened,
		Attack:   attack.MountCapability,
		Witness:  sentinel.OwnMountsUnchanged,
		Refusal:  Refusals{unix.EPERM: Capability},
		Both:     capabilityAlone,
		Controls: spec.Edits{spec.WithCapability("CAP_SYS_ADMIN")},
	}, {
		ID:      "fs.fresh-procfs",
		Claim:   "cannot mount a fresh procfs that bypasses its masks",
		Source:  "kernel fs/namespace.c, mount_too_revealing",
		Barrier: "kernel check for over-mounted procfs",
		Rung:    spec.Hardened,
		Gates:   []*kernel.Feature{kernel.UserNamespace},
		Attack:  attack.FreshProcfs,
		Witness: sentinel.NoFreshProcfs,
		Refusal: Refusals{unix.EPERM: Kernel},
		Both:    spec.Edits{spec.Unconfined()},
		Controls: spec.Edits{spec.Change("no masked or read-only path", func(s *specs.Spec) {
			s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = nil, nil
		})},
	}, {
		ID:       "fs.open-by-handle",
		Claim:    "cannot open host files by forged file handles",
		Source:   "open_by_handle_at(2)",
		Barrier:  "capability CAP_DAC_READ_SEARCH",
		Rung:     spec.Hardened,
		Attack:   attack.OpenByHandle,
		Witness:  sentinel.HiddenUnopened,
		Refusal:  Refusals{unix.EPERM: Capability},
		Both:     capabilityAlone,
		Controls: spec.Edits{spec.WithCapability("CAP_DAC_READ_SEARCH")},
	}, {
		ID:       "fs.fd-reopen",
		Claim:    "cannot reopen a read-only host descriptor for writing",
		Source:   "proc_pid_fd(5), user_namespaces(7)",
		Barrier:  "user namespace",
		Rung:     spec.Hardened,
		Attack:   attack.FDReopen,
		Witness:  sentinel.ReadOnlyFileUnchanged,
		Refusal:  Refusals{unix.EACCES: UserNamespace, unix.EPERM: UserNamespace},
		Controls: spec.Edits{spec.WithoutNamespace(specs.UserNamespace)},
	}, {
		ID:       "fs.fanotify-filesystem",
		Claim:    "cannot watch a whole host mount or filesystem",
		Source:   "fanotify_init(2), fanotify_mark(2)",
		Barrier:  "capability CAP_SYS_ADMIN",
		Rung:     spec.Hardened,
		Attack:   attack.FanotifyFilesystem,
		Witness:  sentinel.NothingWatched,
		Refusal:  Refusals{unix.EPERM: Capability},
		Both:     capabilityAlone,
		Controls: spec.Edits{spec.WithCapability("CAP_SYS_ADMIN")},
	}}
}
