package guarantee

import (
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
	"cellwall/suites/attack"
	"cellwall/suites/sentinel"
)

func ipcRows() []Guarantee {
	return []Guarantee{{
		ID:       "ipc.sysv",
		Claim:    "cannot reach the host's SysV shared memory, semaphores or queues",
		Source:   "ipc_namespaces(7), sysvipc(7)",
		Barrier:  "ipc namespace",
		Rung:     spec.Namespaces,
		Gates:    []*kernel.Feature{kernel.SysVIPC},
		Attack:   attack.SysV,
		Witness:  sentinel.SysVUntouched,
		Refusal:  Refusals{unix.ENOENT: IPCNamespace},
		Controls: spec.Edits{spec.WithoutNamespace(specs.IPCNamespace)},
	}, {
		ID:       "ipc.posix-queue",
		Claim:    "cannot reach the host's POSIX message queues",
		Source:   "ipc_namespaces(7), mq_overview(7)",
		Barrier:  "ipc namespace",
		Rung:     spec.Namespaces,
		Gates:    []*kernel.Feature{kernel.PosixMQ},
		Attack:   attack.PosixQueue,
		Witness:  sentinel.QueueKept,
		Refusal:  Refusals{unix.ENOENT: IPCNamespace},
		Controls: spec.Edits{spec.WithoutNamespace(specs.IPCNamespace)},
	}, {
		ID:       "ipc.abstract-socket",
		Claim:    "cannot reach the host's abstract UNIX sockets",
		Source:   "network_namespaces(7), unix(7); CVE-2020-15257",
		Barrier:  "net namespace",
		Rung:     spec.Namespaces,
		Attack:   attack.AbstractSocket,
		Witness:  sentinel.AbstractListener,
		Refusal:  Refusals{unix.ECONNREFUSED: NetNamespace},
		Controls: spec.Edits{spec.WithoutNamespace(specs.NetworkNamespace)},
	}, {
		ID:       "ipc.landlock-scope",
		Claim:    "cannot signal or connect out of its Landlock domain",
		Source:   "landlock(7), LANDLOCK_SCOPE_SIGNAL, LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET",
		Barrier:  "Landlock scoped flags",
		Kept:     ByKernel,
		Rung:     spec.Hardened,
		Gates:    []*kernel.Feature{kernel.LandlockScope},
		Attack:   attack.LandlockScope,
		Witness:  sentinel.ScopeKept,
		Refusal:  Refusals{unix.EPERM: Landlock},
		Both:     noUserNamespace,
		Controls: spec.Edits{{Name: sentinel.NoScope}},
	}, {
		ID:       "ipc.dev-shm",
		Claim:    "cannot open the host's shared-memory files",
		Source:   "shm_overview(7)",
		Barrier:  "tmpfs per container on /dev/shm",
		Rung:     spec.Namespaces,
		Attack:   attack.DevShm,
		Witness:  sentinel.SharedMemoryFile,
		Refusal:  Refusals{unix.ENOENT: MountNamespace},
		Controls: spec.Edits{{Name: "the host's /dev/shm", Apply: spec.WithMount(spec.Bind("/dev/shm", "/dev/shm", "ro")).Apply}},
	}}
}
