package guarantee

import (
	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/spec"
	"cellwall/suites/attack"
	"cellwall/suites/sentinel"
)

func lifecycleRows() []Guarantee {
	return []Guarantee{{
		ID:       "lifecycle.no-state-left",
		Claim:    "leaves no cgroup, BPF pin or state after deletion",
		Source:   "OCI runtime-spec, runtime.md: Delete",
		Barrier:  "runtime cleanup",
		Rung:     spec.Runtime,
		Attack:   attack.Live,
		Witness:  sentinel.StateGone,
		Controls: spec.Edits{{Name: sentinel.LeavesCgroup}, {Name: sentinel.LeavesState}},
	}, {
		ID:      "lifecycle.no-process-left",
		Claim:   "leaves no process or zombie after deletion",
		Source:  "pid_namespaces(7); cgroups(7), cgroup.kill",
		Barrier: "cgroup.kill or pid namespace",
		Rung:    spec.Runtime,
		Attack:  attack.LeaveProcesses,
		Witness: sentinel.ProcessesGone,
		// One child is where no kill of the cgroup finds it, so that the pid namespace is alone.
		Both:     spec.Edits{{Name: sentinel.ChildrenElsewhere}},
		Controls: spec.Edits{spec.OnCore(spec.WithoutNamespace(specs.PIDNamespace))},
	}, {
		ID:       "lifecycle.no-mount-left",
		Claim:    "leaves no mount on the host",
		Source:   "mount_namespaces(7)",
		Barrier:  "private propagation",
		Rung:     spec.Runtime,
		Attack:   attack.Live,
		Witness:  sentinel.NoMountLeft,
		Controls: spec.Edits{spec.Omitting("mounts that stay shared", "private-mounts")},
	}, {
		ID:       "lifecycle.no-fd-growth",
		Claim:    "costs its manager no descriptor, thread or memory per cycle",
		Source:   "proc_pid_fd(5), proc_pid_task(5)",
		Barrier:  "runtime cleanup",
		Kept:     ByHarness,
		Rung:     spec.Runtime,
		Attack:   attack.Live,
		Witness:  sentinel.NoGrowth,
		Controls: spec.Edits{{Name: sentinel.LeavesDescriptor}, {Name: sentinel.LeavesThread}, {Name: sentinel.LeavesMemory}},
		Alone:    true,
	}, {
		ID:       "lifecycle.failed-create-clean",
		Claim:    "leaves nothing behind when its creation fails",
		Source:   "OCI runtime-spec, runtime.md: Create",
		Barrier:  "runtime rollback",
		Rung:     spec.Runtime,
		Attack:   attack.Live,
		Witness:  sentinel.FailureClean,
		Controls: spec.Edits{{Name: sentinel.LeavesCgroup}, {Name: sentinel.LeavesState}},
		Alone:    true,
	}, {
		ID:       "lifecycle.freeze-stops-all",
		Claim:    "cannot run or thaw itself while frozen",
		Source:   "cgroups(7), cgroup.freeze; freezer-subsystem.rst",
		Barrier:  "cgroup.freeze of a group that holds the whole container",
		Rung:     spec.Limits,
		Attack:   attack.RunFrozen,
		Witness:  sentinel.StandsStill,
		Controls: spec.Edits{{Name: sentinel.ChildrenElsewhere}},
		Alone:    true,
	}, {
		ID:       "lifecycle.id-traversal",
		Claim:    "cannot be named so that state leaves the state directory",
		Source:   "OCI runtime-spec, runtime.md: State; path_resolution(7)",
		Barrier:  "id validation",
		Rung:     spec.Runtime,
		Attack:   attack.Live,
		Witness:  sentinel.IDsStay,
		Controls: spec.Edits{{Name: sentinel.JoinsAnyID}},
	}}
}
