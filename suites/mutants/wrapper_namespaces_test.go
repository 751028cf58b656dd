package mutants_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/spec"
	"cellwall/suites/sentinel"
)

// without is a wrapper that leaves the container in the host's namespace of a type.
func without(t specs.LinuxNamespaceType) wrapper { return edited(spec.WithoutNamespace(t).Apply) }

// neighbour is the pid of another container of the trial, 0 if there is none.
func (c *call) neighbour() (int, error) {
	files, err := filepath.Glob(filepath.Join(filepath.Dir(c.bundle()), "oci-*", "pid"))
	if err != nil || len(files) == 0 {
		return 0, err
	}
	pid, err := os.ReadFile(files[0])
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(pid)))
}

// joinNeighbour is a wrapper that puts a container into a namespace of another one of the trial.
func joinNeighbour(t specs.LinuxNamespaceType, file string) wrapper {
	return before("create", func(c *call) error {
		pid, err := c.neighbour()
		if err != nil || pid == 0 {
			return err
		}
		return c.edit(spec.JoinNamespace(t, fmt.Sprintf("/proc/%d/ns/%s", pid, file)).Apply)
	})
}

// neighbourTerminals gives a container the devpts of another one of the trial. It mounts it for the real
// runtime alone: the thread that is to become that has a private copy of the mounts.
func neighbourTerminals(c *call) error {
	pid, err := c.neighbour()
	if err != nil || pid == 0 {
		return err
	}
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
		return err
	}
	own, err := unix.Open("/proc/thread-self/ns/mnt", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	theirs, err := unix.Open(fmt.Sprintf("/proc/%d/ns/mnt", pid), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if err := unix.Setns(theirs, unix.CLONE_NEWNS); err != nil {
		return err
	}
	tree, err := unix.OpenTree(unix.AT_FDCWD, "/dev/pts", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err := errors.Join(err, unix.Setns(own, unix.CLONE_NEWNS)); err != nil {
		return err
	}
	if err := unix.MoveMount(tree, "", unix.AT_FDCWD, "/dev/pts", unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return err
	}
	return c.edit(spec.WithMount(spec.Bind("/dev/pts", "/dev/pts")).Apply)
}

// namespaceWeaknesses are namespaces that are missing, joined or mapped wrongly. Rows whose attack
// changes a namespace end it, unstarted, where that is the host's own: sentinel's standIn.guard.
func namespaceWeaknesses() []weakness {
	return []weakness{
		// In a user namespace the kernel mounts no proc, sysfs or mqueue of a namespace that does
		// not belong to it: so these are tried without one.
		{name: "the host's pid namespace", do: without(specs.PIDNamespace), rung: spec.Limits, rows: []string{
			"process.signal-host", "process.trace-host", "process.sender-hidden", "process.proc-view", "fs.proc-root-link",
		}},
		{name: "the host's net namespace", do: without(specs.NetworkNamespace), rung: spec.Limits, rows: []string{
			"net.host-loopback", "ipc.abstract-socket", "net.own-interfaces",
		}},
		{name: "the host's net namespace by its file", rung: spec.Limits, rows: []string{"net.host-loopback"},
			do: edited(spec.JoinNamespace(specs.NetworkNamespace, fmt.Sprintf("/proc/%d/ns/net", os.Getpid())).Apply)},
		{name: "the host's ipc namespace", do: without(specs.IPCNamespace), rung: spec.Limits, rows: []string{"ipc.sysv"}},
		// A runtime without time namespaces does not claim the row.
		{name: "the host's uts namespace", do: without(specs.UTSNamespace), rung: spec.Limits, rows: []string{"process.own-namespaces"}, strict: true, sees: "uts"},
		{name: "one pid namespace for all containers", do: joinNeighbour(specs.PIDNamespace, "pid"), rung: spec.Limits, rows: []string{"process.neighbour-namespaces"}},
		{name: "one ipc namespace for all containers", do: joinNeighbour(specs.IPCNamespace, "ipc"), rung: spec.Limits, rows: []string{"process.neighbour-namespaces"}},
		{name: "one net namespace for all containers", do: joinNeighbour(specs.NetworkNamespace, "net"), rung: spec.Limits, rows: []string{"process.neighbour-namespaces"}},
		{name: "one devpts for all containers", do: before("create", neighbourTerminals), rung: spec.Limits, rows: []string{"device.private-pts"}},
		// Without its mount of cgroups too: a cgroup2 mount in the host's namespace takes nsdelegate off the host's.
		{name: "the host's cgroup namespace", do: edited(func(s *specs.Spec) {
			spec.WithoutNamespace(specs.CgroupNamespace).Apply(s)
			s.Mounts = slices.DeleteFunc(s.Mounts, func(m specs.Mount) bool { return m.Type == "cgroup" })
		}), rows: []string{"leak.cgroup-path"}},
		{name: "no user namespace", do: without(specs.UserNamespace), rows: []string{
			"user.root-unprivileged", "user.setuid-plant", "user.file-caps-rootid", "pids.nproc-per-userns",
		}},
		{name: "a user namespace in which every id is the host's", do: edited(func(s *specs.Spec) {
			for _, ids := range [][]specs.LinuxIDMapping{s.Linux.UIDMappings, s.Linux.GIDMappings} {
				for i := range ids {
					ids[i].HostID = ids[i].ContainerID
				}
			}
		}), rows: []string{"user.host-root-files", "fs.fd-reopen"}},
		{name: "a user namespace that maps too much", do: edited(func(s *specs.Spec) {
			for _, ids := range [][]specs.LinuxIDMapping{s.Linux.UIDMappings, s.Linux.GIDMappings} {
				for i := range ids {
					ids[i].Size = sentinel.Unmapped + 1
				}
			}
		}), rows: []string{"user.unmapped-ids"}},
		{name: "a user namespace with a person's id in it", do: edited(func(s *specs.Spec) {
			for _, ids := range []*[]specs.LinuxIDMapping{&s.Linux.UIDMappings, &s.Linux.GIDMappings} {
				if len(*ids) == 1 && (*ids)[0].Size > 1 {
					last := &(*ids)[0]
					last.Size--
					*ids = append(*ids, specs.LinuxIDMapping{ContainerID: last.Size, HostID: 1000, Size: 1})
				}
			}
		}), rows: []string{"user.unmapped-ids"}},
	}
}
