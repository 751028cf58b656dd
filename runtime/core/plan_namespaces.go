package core

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/spec"
)

// namespaceType is what the kernel and the spec call one type of namespace.
type namespaceType struct {
	name specs.LinuxNamespaceType
	flag uint64
	// late types are unshared by the child itself: a cgroup namespace takes the caller's
	// cgroup as its root, so the child must have joined, and a time namespace's offsets must
	// be written while nobody is in it.
	late bool
}

// namespaceTypes is in the order in which existing ones are joined: the user namespace first,
// since it gives the right to join the others, and the mount namespace last, since the files
// of the others are found in the launcher's.
var namespaceTypes = []namespaceType{
	{name: specs.UserNamespace, flag: unix.CLONE_NEWUSER},
	{name: specs.PIDNamespace, flag: unix.CLONE_NEWPID},
	{name: specs.UTSNamespace, flag: unix.CLONE_NEWUTS},
	{name: specs.IPCNamespace, flag: unix.CLONE_NEWIPC},
	{name: specs.NetworkNamespace, flag: unix.CLONE_NEWNET},
	{name: specs.CgroupNamespace, flag: unix.CLONE_NEWCGROUP, late: true},
	{name: specs.TimeNamespace, flag: unix.CLONE_NEWTIME, late: true},
	{name: specs.MountNamespace, flag: unix.CLONE_NEWNS},
}

func (p *planner) namespaces() error {
	p.plan.Flags = unix.CLONE_CLEAR_SIGHAND
	if p.mayShareMemory() {
		p.plan.Flags |= unix.CLONE_VM
	}
	p.plan.From = p.From
	// Where root makes no pid namespace others see the child; a launcher without privileges could not
	// write its maps.
	if !p.unshares(specs.PIDNamespace) && !p.Host.Rootless {
		p.undumpable()
	}
	for _, t := range namespaceTypes {
		i := slices.IndexFunc(p.Spec.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == t.name })
		switch {
		case i < 0:
		case p.Spec.Linux.Namespaces[i].Path != "":
			p.join(t, p.Spec.Linux.Namespaces[i].Path)
		case t.late:
			p.unshare(t)
		default:
			p.plan.Flags |= t.flag
		}
	}
	p.userMappings()
	p.hostNames()
	p.loopback()
	return nil
}

// safeMemory is a limit that no plan comes near, in bytes: its mounts and its execve are charged
// some hundred KiB.
const safeMemory = 16 << 20

// mayShareMemory reports whether the child can share the launcher's memory until execve without
// harm to the launcher. The kernel's OOM killer ends every process that shares the victim's
// memory (__oom_kill_process), a score that is written for one counts for all of them
// (__set_oom_adj), a change of user makes the memory undumpable for all (commit_creds), and who
// is in the same pid namespace could reach for it through /proc.
func (p *planner) mayShareMemory() bool {
	if p.Spec.Process.OOMScoreAdj != nil || p.Host.Rootless || !p.unshares(specs.PIDNamespace) {
		return false
	}
	r := p.Spec.Linux.Resources
	if r == nil {
		return true
	}
	if r.CPU != nil && r.CPU.Mems != "" {
		return false // a v1 cpuset rebinds the memory policy of whoever shares the memory
	}
	if _, unified := r.Unified["memory.max"]; unified {
		return false
	}
	return r.Memory == nil || r.Memory.Limit == nil || *r.Memory.Limit <= 0 || *r.Memory.Limit >= safeMemory
}

func (p *planner) join(t namespaceType, path string) {
	if t.name == specs.PIDNamespace {
		p.plan.PIDNamespace = path
		return
	}
	p.setns(string(t.name), path, t.flag)
}

func (p *planner) setns(name, path string, flag uint64) {
	file := p.slot()
	p.add(
		Step{
			Text:   fmt.Sprintf("open %s namespace %s", name, path),
			number: unix.SYS_OPENAT, args: calls(cwd(), str(path), num(unix.O_RDONLY|unix.O_CLOEXEC)), out: file,
		},
		Step{
			Text: fmt.Sprintf("join %s namespace %s", name, path), Barrier: name + " namespace",
			number: unix.SYS_SETNS, args: calls(from(file), num(flag)),
		},
	)
}

func (p *planner) unshare(t namespaceType) {
	p.add(Step{
		Text: fmt.Sprintf("unshare %s namespace", t.name), Barrier: string(t.name) + " namespace",
		number: unix.SYS_UNSHARE, args: calls(num(t.flag)),
	})
	if t.name != specs.TimeNamespace {
		return
	}
	offsets := timeOffsets(p.Spec.Linux.TimeOffsets)
	if offsets != "" {
		p.writeFile(Step{Text: "set time offsets " + strings.ReplaceAll(strings.TrimSpace(offsets), "\n", ", ")}, cwd(),
			"/proc/self/timens_offsets", offsets)
	}
	if !p.Host.TimeAtExec {
		// setns into a time namespace needs a process that shares no memory.
		p.plan.Flags &^= unix.CLONE_VM
		p.setns("time", "/proc/self/ns/time_for_children", unix.CLONE_NEWTIME)
	}
}

// timeOffsets gives the lines of timens_offsets: clock, seconds, nanoseconds.
func timeOffsets(offsets map[string]specs.LinuxTimeOffset) string {
	var b strings.Builder
	for _, clock := range slices.Sorted(maps.Keys(offsets)) {
		fmt.Fprintf(&b, "%s %d %d\n", clock, offsets[clock].Secs, offsets[clock].Nanosecs)
	}
	return b.String()
}

// userMappings waits for the launcher to write the maps of a new user namespace. The child
// becomes its root only later: what belongs to the launcher must first be opened.
func (p *planner) userMappings() {
	if !p.unshares(specs.UserNamespace) {
		return
	}
	p.plan.DenySetgroups = p.deniesSetgroups()
	p.plan.UIDMappings, p.plan.GIDMappings = p.Spec.Linux.UIDMappings, p.Spec.Linux.GIDMappings
	p.add(Step{
		Text: "wait for the id mappings", Barrier: "user namespace",
		number: unix.SYS_READ, args: calls(fd(Line), mem(make([]byte, 1)), num(1)), min: 1,
	})
}

// deniesSetgroups reports whether the container's own user namespace is without setgroups(2). A
// launcher without CAP_SETGID cannot map groups otherwise: user_namespaces(7).
func (p *planner) deniesSetgroups() bool {
	return p.unshares(specs.UserNamespace) && (p.Host.Rootless || p.Spec.Annotations[spec.DenySetgroups] == "true")
}

// becomeRoot takes the ids of the user namespace's root, so that what is mounted and made from
// now on belongs to it.
func (p *planner) becomeRoot() {
	if !p.has(specs.UserNamespace) {
		return
	}
	p.add(
		Step{
			Text:   "become group 0 of the user namespace",
			number: unix.SYS_SETRESGID, args: calls(num(0), num(0), num(0)),
		},
		Step{
			Text: "become user 0 of the user namespace", Barrier: "user namespace",
			number: unix.SYS_SETRESUID, args: calls(num(0), num(0), num(0)),
		},
	)
}

func (p *planner) hostNames() {
	if !p.has(specs.UTSNamespace) {
		return
	}
	if name := p.Spec.Hostname; name != "" {
		p.add(Step{
			Text:   fmt.Sprintf("set host name %q", name),
			number: unix.SYS_SETHOSTNAME, args: calls(str(name), num(len(name))),
		})
	}
	if name := p.Spec.Domainname; name != "" {
		p.add(Step{
			Text:   fmt.Sprintf("set domain name %q", name),
			number: unix.SYS_SETDOMAINNAME, args: calls(str(name), num(len(name))),
		})
	}
}

// loopback brings up lo in a new network namespace, as every OCI runtime does.
func (p *planner) loopback() {
	if !p.unshares(specs.NetworkNamespace) {
		return
	}
	// struct ifreq of netdevice(7): a name, then here the flags.
	ifreq := make([]byte, 40)
	copy(ifreq, "lo")
	binary.NativeEndian.PutUint16(ifreq[unix.IFNAMSIZ:], unix.IFF_UP|unix.IFF_RUNNING)
	sock := p.slot()
	p.add(
		Step{
			Text:   "open a socket to configure lo",
			number: unix.SYS_SOCKET, args: calls(num(unix.AF_INET), num(unix.SOCK_DGRAM|unix.SOCK_CLOEXEC), num(0)), out: sock,
		},
		Step{
			Text:   "bring up lo",
			number: unix.SYS_IOCTL, args: calls(from(sock), num(unix.SIOCSIFFLAGS), mem(ifreq)),
		},
		Step{Text: "close the socket", number: unix.SYS_CLOSE, args: calls(from(sock))},
	)
}
