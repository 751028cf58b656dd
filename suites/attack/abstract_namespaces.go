package attack

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// NamespaceKinds are the namespaces that Namespaces makes, by their names in /proc/PID/ns and in
// /proc/sys/user, and what unshare(2) calls them.
var NamespaceKinds = []struct {
	Name, Sysctl string
	flag         int
}{
	{Name: "uts", Sysctl: "user.max_uts_namespaces", flag: unix.CLONE_NEWUTS},
	{Name: "ipc", Sysctl: "user.max_ipc_namespaces", flag: unix.CLONE_NEWIPC},
	{Name: "mnt", Sysctl: "user.max_mnt_namespaces", flag: unix.CLONE_NEWNS},
	{Name: "cgroup", Sysctl: "user.max_cgroup_namespaces", flag: unix.CLONE_NEWCGROUP},
	{Name: "net", Sysctl: "user.max_net_namespaces", flag: unix.CLONE_NEWNET},
	{Name: "user", Sysctl: "user.max_user_namespaces", flag: unix.CLONE_NEWUSER},
}

// Namespaces has up to Target.Count children for each kind of namespace make one and stay in it.
// It holds at the kind.
var Namespaces = Attack{Name: "abstract.namespaces", Run: func(a *Attempt) {
	if !a.Try("settle", settle()) {
		return
	}
	for _, kind := range NamespaceKinds {
		var err error
		n := 0
		var family []*forked
		for ; n < a.Target.Count && err == nil; n++ {
			var child *forked
			child, err = fork(0, rawCall{number: unix.SYS_UNSHARE, first: uintptr(kind.flag)})
			if err != nil {
				break
			}
			family = append(family, child)
			err = asError(child.errnos[0])
		}
		a.Try(fmt.Sprintf("unshare %s (%d)", kind.Name, n), err)
		a.Hold(kind.Name)
		for _, child := range family {
			// Later ones hold what its end would wait for.
			_ = unix.Kill(child.pid, unix.SIGKILL)
			_ = child.end()
		}
	}
}}
