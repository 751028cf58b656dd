package core

import (
	"bytes"
	"fmt"
	"slices"
	"unsafe"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/seccomp"
	"cellwall/runtime/spec"
)

// Host is what a plan must know of the launcher and of the kernel.
type Host struct {
	LastCapability int      // the highest capability that the kernel knows
	Tasks          []string // the v1 hierarchies that the child joins itself
	Cgroups        []CgroupMount
	// MountSetattr is mount_setattr(2), from 5.12. Without it flags are set by remounting.
	MountSetattr bool
	// TimeAtExec is a time namespace that takes effect at execve for a child that shares its
	// parent's memory (Linux commit 2b5f9dad32ed). Without it the child gets memory of its own.
	TimeAtExec bool
	// Files are the bind sources that are no directories.
	Files []string
	// MountFlags are the MS_* flags of the mounts in which the root directory, the bind sources and the container's
	// cgroups lie, which a remount would take away. They are needed only without mount_setattr(2).
	MountFlags map[string]uintptr
	// OpenFiles is the RLIMIT_NOFILE of a process that has none of its own; nil is the launcher's.
	OpenFiles *specs.POSIXRlimit
	// Rootless is a launcher without CAP_SETGID: its user namespaces deny setgroups(2).
	Rootless bool
	// Ignored are the signals that the launcher ignores.
	Ignored []unix.Signal
}

// CgroupMount is one hierarchy as a mount of type cgroup shows it in the container.
type CgroupMount struct {
	Type string // cgroup or cgroup2
	Name string // directory below the mount's destination; empty for v2 alone
	Data string // mount data: the controllers of a v1 hierarchy
	Path string // the container's own cgroup on the host, for a container in the host's namespace
}

// Plan is a container as a list of system calls.
type Plan struct {
	Steps []Step
	// Flags are the CLONE_* flags of the clone3 call that makes the child.
	Flags uint64
	// UIDMappings and GIDMappings are written by the launcher while the child waits.
	UIDMappings, GIDMappings []specs.LinuxIDMapping
	// DenySetgroups forbids setgroups(2) in a new user namespace.
	DenySetgroups bool
	// PIDNamespace is the file of a pid namespace that the launching thread enters first, since
	// a process cannot change its own.
	PIDNamespace string
	// From is a mount namespace file that the launching thread enters first: a child in a new
	// user namespace has no right to.
	From string

	slots int
}

// Request is what Compile makes a plan of.
type Request struct {
	Spec *specs.Spec
	Host Host
	Omit []string // IDs of steps to leave out: a mutant
	// From is the mount namespace file that the container's own is copied from, if it is not
	// the launcher's.
	From string
}

// Compile turns a spec into a plan. It reads and changes nothing outside its arguments.
func Compile(r Request) (*Plan, error) {
	if err := Validate(r.Spec); err != nil {
		return nil, err
	}
	p := &planner{Request: r}
	p.plan.Steps = make([]Step, 0, usualSteps)
	for _, section := range []func() error{
		p.stdio,
		p.joinCgroups,
		p.closeDescriptors,
		p.launcherFiles,
		p.openSysctls,
		p.namespaces,
		p.rootDirectory,
		p.workingDirectory,
		p.session,
		p.identity,
		p.program,
	} {
		if err := section(); err != nil {
			return nil, err
		}
	}
	for _, id := range r.Omit {
		if !p.omitted[id] {
			return nil, fmt.Errorf("omit step %q: the plan has none of that name", id)
		}
	}
	p.plan.slots = p.lastSlot
	return &p.plan, nil
}

// usualSteps is what most containers take; a hardened one takes more.
const usualSteps = 128

// planner collects the steps of a plan.
type planner struct {
	Request
	plan     Plan
	lastSlot int
	omitted  map[string]bool
	trees    map[tree]slot   // detached copies of what lies outside the root
	made     map[string]bool // the texts of steps that made directories which nothing hides
	null     slot            // the launcher's /dev/null
	procSys  slot            // the launcher's /proc/sys
	filter   *seccomp.Program
	filtered int // the steps before the filter
}

func (p *planner) add(steps ...Step) {
	for i := range steps {
		if p.omits(steps[i].ID) {
			continue
		}
		p.plan.Steps = append(p.plan.Steps, steps[i])
	}
}

// omits reports whether an edit leaves the step out, and remembers that it was asked.
func (p *planner) omits(id string) bool {
	if id == "" || !slices.Contains(p.Omit, id) {
		return false
	}
	if p.omitted == nil {
		p.omitted = map[string]bool{}
	}
	p.omitted[id] = true
	return true
}

func (p *planner) slot() slot {
	p.lastSlot++
	return slot(p.lastSlot)
}

func (p *planner) has(t specs.LinuxNamespaceType) bool { return spec.HasNamespace(p.Spec, t) }

// unshares reports whether the container gets a new namespace of a type, not an existing one.
func (p *planner) unshares(t specs.LinuxNamespaceType) bool {
	return slices.ContainsFunc(p.Spec.Linux.Namespaces, func(n specs.LinuxNamespace) bool {
		return n.Type == t && n.Path == ""
	})
}

// stdio puts the three standard descriptors in place. They are copied up first, so that one
// that the launcher holds as 1 is not overwritten on the way to 2.
func (p *planner) stdio() error {
	if p.Spec.Process.Terminal {
		return nil // session makes them from a terminal of the container's own
	}
	type end struct {
		h  Handle
		to int
	}
	ends := []end{{Stdin, 0}, {Stdout, 1}, {Stderr, 2}}
	high := make([]slot, len(ends))
	for i, e := range ends {
		high[i] = p.slot()
		p.add(Step{
			Text:   fmt.Sprintf("keep %s", e.h),
			number: unix.SYS_FCNTL, args: calls(fd(e.h), num(unix.F_DUPFD_CLOEXEC), num(firstFree)), out: high[i],
		})
	}
	for i, e := range ends {
		p.add(Step{
			Text:   fmt.Sprintf("make %s descriptor %d", e.h, e.to),
			number: unix.SYS_DUP3, args: calls(from(high[i]), num(e.to), num(0)),
		})
	}
	return nil
}

// firstFree is the first descriptor beyond the standard ones.
const firstFree = 3

// joinCgroups enters the v1 cgroups: the child itself writes, since a write of another task's
// pid waits for an RCU grace period (cgroup_attach_lock), a write of 0 to tasks does not. The
// v2 cgroup comes with clone3 (CLONE_INTO_CGROUP).
func (p *planner) joinCgroups() error {
	for _, name := range p.Host.Tasks {
		p.add(Step{
			ID: "join-cgroup", Barrier: "cgroup " + name,
			Text:   "join cgroup " + name,
			number: unix.SYS_WRITE, args: calls(fd(TasksHandle(name)), mem([]byte("0")), num(1)), min: 1,
		})
	}
	// A task that changes its cpuset keeps to the CPUs that it was bound to, here the launcher's: Linux commit
	// 8f9ea86fdf99.
	p.add(Step{
		Text:   "run on every CPU of the cpuset",
		number: unix.SYS_SCHED_SETAFFINITY, args: calls(num(0), num(maxCPUs/8), mem(bytes.Repeat([]byte{0xff}, maxCPUs/8))),
		tolerate: []unix.Errno{unix.EPERM}, // a filter around the launcher: it is as the launcher then
	})
	return nil
}

// maxCPUs is the largest CONFIG_NR_CPUS.
const maxCPUs = 8192

// TasksHandle is the handle of a v1 hierarchy's tasks file.
func TasksHandle(name string) Handle { return Handle("tasks of " + name) }

// launcherFiles writes what can only be written through the launcher's /proc.
func (p *planner) launcherFiles() error {
	if score := p.Spec.Process.OOMScoreAdj; score != nil {
		p.writeFile(Step{ID: "oom-score", Text: fmt.Sprintf("set oom_score_adj to %d", *score)}, cwd(),
			"/proc/self/oom_score_adj", fmt.Sprint(*score))
	}
	// CLONE_CLEAR_SIGHAND leaves them, and so does execve: those of nohup(1), or of a shell's background jobs.
	for _, s := range p.Host.Ignored {
		p.add(Step{
			Text:   "stop ignoring " + signalName(s),
			number: unix.SYS_RT_SIGACTION, args: calls(num(int(s)), mem(make([]byte, unsafe.Sizeof(sigaction{}))), null(), num(8)),
		})
	}
	// A session keyring of its own, so that the launcher's keys are not possessed: keyrings(7).
	p.add(Step{
		ID: "session-keyring", Barrier: "session keyring",
		Text:   "join a new session keyring",
		number: unix.SYS_KEYCTL, args: calls(num(unix.KEYCTL_JOIN_SESSION_KEYRING), null()),
		tolerate: []unix.Errno{unix.ENOSYS}, // a kernel without CONFIG_KEYS has none to share
	})
	return nil
}

// writeFile opens a file below dir, writes all of content in one call, and closes it.
func (p *planner) writeFile(s Step, dir arg, path, content string) {
	file := p.slot()
	open, write, done := s, s, s
	open.number, open.args, open.out = unix.SYS_OPENAT, calls(dir, str(path), num(unix.O_WRONLY|unix.O_CLOEXEC)), file
	write.number, write.args, write.min = unix.SYS_WRITE, calls(from(file), mem([]byte(content)), num(len(content))), len(content)
	done.number, done.args = unix.SYS_CLOSE, calls(from(file))
	open.Text = "open " + path + " to " + s.Text
	write.Text = s.Text
	done.Text = "close " + path
	p.add(open, write, done)
}
