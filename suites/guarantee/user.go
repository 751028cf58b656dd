package guarantee

import (
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
	"cellwall/suites/attack"
	"cellwall/suites/sentinel"
)

func userRows() []Guarantee {
	return slices.Concat([]Guarantee{{
		ID:       "user.root-unprivileged",
		Claim:    "cannot act as host uid 0, even as container root",
		Source:   "user_namespaces(7)",
		Barrier:  "user namespace",
		Rung:     spec.Hardened,
		Gates:    []*kernel.Feature{kernel.UserNamespace},
		Attack:   attack.RootUnprivileged,
		Witness:  sentinel.OwnerUnprivileged,
		Controls: spec.Edits{spec.WithoutNamespace(specs.UserNamespace)},
	}, {
		ID:      "user.unmapped-ids",
		Claim:   "cannot use ids outside its mapping",
		Source:  "user_namespaces(7), setresuid(2): EINVAL, chown(2): EINVAL",
		Barrier: "uid_map and gid_map",
		Rung:    spec.Hardened,
		Gates:   []*kernel.Feature{kernel.UserNamespace},
		Attack:  attack.UnmappedIDs,
		Witness: sentinel.IDsKept,
		Refusal: Refusals{unix.EINVAL: UserNamespace, unix.EPERM: UserNamespace},
		Both: spec.Edits{
			spec.WithCapability("CAP_CHOWN"),
			spec.WithCapability("CAP_SETGID"),
			spec.WithCapability("CAP_SETUID"),
		},
		Controls: spec.Edits{sentinel.MappedUID, sentinel.MappedGID},
	}, {
		ID:      "user.setgroups-deny",
		Claim:   "cannot drop groups that deny it access",
		Source:  "user_namespaces(7): the /proc/pid/setgroups file; CVE-2014-8989",
		Barrier: "setgroups deny",
		Rung:    spec.Hardened,
		Gates:   []*kernel.Feature{kernel.UserNamespace},
		Attack:  attack.SetgroupsDeny,
		Witness: sentinel.LauncherGroupDenied,
		Refusal: Refusals{unix.EPERM: UserNamespace, unix.EACCES: DAC},
		Both:    spec.Edits{spec.WithCapability("CAP_SETGID")},
		Controls: spec.Edits{{
			Name:  "setgroups allowed",
			Apply: func(s *specs.Spec) { s.Annotations = nil },
			Omit:  []string{"set-groups"}, // the container is to have the group and to drop it itself
		}},
	}, {
		ID:       "user.host-root-files",
		Claim:    "cannot write files owned by host root",
		Source:   "user_namespaces(7), path_resolution(7): permissions; CVE-2018-18955",
		Barrier:  "user namespace",
		Rung:     spec.Hardened,
		Gates:    []*kernel.Feature{kernel.UserNamespace},
		Attack:   attack.HostRootFiles,
		Witness:  sentinel.RootFileKept,
		Refusal:  Refusals{unix.EACCES: UserNamespace, unix.EPERM: UserNamespace},
		Both:     spec.Edits{spec.WithCapability("CAP_CHOWN")}, // to give the file away
		Controls: spec.Edits{spec.WithoutNamespace(specs.UserNamespace)},
	}, {
		ID:       "user.setuid-plant",
		Claim:    "cannot plant a setuid-root file that works on the host",
		Source:   "user_namespaces(7), execve(2): set-user-ID",
		Barrier:  "user namespace",
		Rung:     spec.Hardened,
		Gates:    []*kernel.Feature{kernel.UserNamespace},
		Attack:   attack.SetuidPlant,
		Witness:  sentinel.PlantHarmless,
		Controls: spec.Edits{spec.WithoutNamespace(specs.UserNamespace)},
	}, {
		ID:       "user.file-caps-rootid",
		Claim:    "cannot give a file capabilities that count on the host",
		Source:   "capabilities(7): namespaced file capabilities",
		Barrier:  "namespaced file capabilities",
		Rung:     spec.Hardened,
		Gates:    []*kernel.Feature{kernel.UserNamespace},
		Attack:   attack.FileCaps,
		Witness:  sentinel.FileCapabilityHarmless,
		Refusal:  Refusals{unix.EPERM: Capability},
		Both:     spec.Edits{spec.WithCapability("CAP_SETFCAP")},
		Controls: spec.Edits{spec.WithoutNamespace(specs.UserNamespace)},
	}}, userCapabilityRows(), userInheritRows())
}
