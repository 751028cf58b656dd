package claim

import (
	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/driver"
	"cellwall/runtime/spec"
)

// What engines do not claim is made from the documentation and source of podman 4.3.1 and 5, and of docker
// 20.10.24 and 28, and held against podman 4.3.1 with crun 1.8.1 and docker 20.10.24 with runc 1.1.5.
// What their OCI runtime breaks is in the table of that.

// guarded are rows that an engine keeps whatever its OCI runtime does: the names that that gets are the engine's own.
var guarded = []string{"lifecycle.id-traversal"}

// noTimeNamespace is said of engines, which have no option for one.
func noTimeNamespace(source string) Exception {
	return Exception{
		Rows:   []string{"time.*", "process.own-namespaces"},
		Lack:   spec.WithoutNamespace(specs.TimeNamespace).Name,
		Reason: "it makes no time namespace",
		Source: source,
		Advice: "none: the clocks are the host's",
	}
}

// engineFiles is said of the files that an engine binds into every container.
func engineFiles(files, source string) Exception {
	return Exception{
		Rows:   []string{"fs.host-mount"},
		Reason: "it binds " + files + " from its own directory on the host, whatever it is told",
		Source: source,
		Advice: "nothing: they are this container's alone, and hold its name and addresses",
	}
}

// endsAll is said of an end that an engine makes of every process.
func endsAll(source string) Exception {
	return Exception{
		Rows:   []string{"process.init-death"},
		Reason: "it ends all of a container's processes with its init, also where they are the host's pid namespace's: no control can show what a namespace is worth",
		Source: source,
		Advice: "nothing: it is one barrier more",
	}
}

var podmanTable = []Exception{
	noTimeNamespace("podman-create(1): no option has to do with one; pkg/specgen/generate/namespaces.go"),
	engineFiles("/etc/hostname and /run/.containerenv", "libpod/container_internal_linux.go, makeBindMounts"),
	endsAll("libpod/container_internal.go, cleanup: the container is deleted by force when conmon sees its end"),
	{
		Rows:     []string{"fs.bundle-private"},
		Lack:     driver.Unfiltered,
		Known:    true,
		Evidence: "the user can read 3: ",
		Reason:   "it makes its directory of locks (--tmpdir, by default /run/libpod) with mode 0751, and in it three empty files with 0644: alive, alive.lck and a lock. They tell nothing; but who may read a file may take a shared lock of it, and make podman wait",
		Source:   "libpod/runtime.go, makeRuntime: MkdirAll(tmpDir, 0751); seen by ls -l on 4.3.1",
		Advice:   "nothing is read there; where other users are not trusted, keep them from the directory",
	},
	{
		Rows:   []string{"device.unlisted"},
		Lack:   driver.Unfiltered,
		Reason: "in a user namespace it gives the OCI runtime no device rules",
		Source: "pkg/specgen/generate/oci_linux.go: if !inUserNS && !s.Privileged",
		Advice: "leave no device node that its ids may open in the image, or start it in a unit with DevicePolicy=closed",
	},
}

var dockerTable = []Exception{
	noTimeNamespace("docker container create --help: no option has to do with one; moby daemon/oci_linux.go, WithNamespaces"),
	engineFiles("/etc/hostname, /etc/hosts and /etc/resolv.conf", "moby container/container_unix.go, NetworkMounts"),
	endsAll("containerd, runtime/v2/runc: ShouldKillAllOnExit"),
	{
		Rows:   []string{"pids.kill-fork-bomb"},
		Reason: "of a container without a pid namespace it ends all processes with its init, by the list of a v1 cgroup where there is v1: no control can show what a kill of the v2 cgroup is worth",
		Source: "containerd, runtime/v2/runc: ShouldKillAllOnExit; runc libcontainer, signalAllProcesses",
		Advice: "nothing: it is one barrier more",
	},
	{
		Rows: []string{
			"user.root-unprivileged", "user.unmapped-ids", "user.setgroups-deny", "user.host-root-files", "user.setuid-plant", "user.file-caps-rootid",
			"fs.fd-reopen", "process.neighbour-namespaces", "process.steal-fd", "pids.nproc-per-userns", "kernel.cgroup-migrate",
			"abstract.inotify", "abstract.keys", "abstract.namespaces",
		},
		Lack:   spec.WithoutNamespace(specs.UserNamespace).Name,
		Reason: "it makes no user namespace for one container: its root is the host's",
		Source: "docs.docker.com, Isolate containers with a user namespace: userns-remap is the daemon's, for all containers",
		Advice: "start dockerd with --userns-remap=default, or rootless",
	},
}
