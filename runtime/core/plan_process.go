package core

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
	"cellwall/runtime/seccomp"
)

// closeDescriptors closes all but the standard descriptors and the line, as soon as the
// launcher's have served: what the launcher holds must not be there when a path such as
// /proc/self/fd/7 is resolved (CVE-2024-21626).
func (p *planner) closeDescriptors() error {
	p.add(
		Step{
			ID: "close-descriptors", Barrier: "close-on-exec of launcher descriptors",
			Text:   "close the descriptors below the line",
			number: unix.SYS_CLOSE_RANGE, args: calls(num(firstFree), beside(Line, -1), num(0)),
		},
		Step{
			ID: "close-descriptors", Barrier: "close-on-exec of launcher descriptors",
			Text:   "close the descriptors above the line",
			number: unix.SYS_CLOSE_RANGE, args: calls(beside(Line, 1), num(^uint32(0)), num(0)),
		},
	)
	return nil
}

// workingDirectory changes into process.cwd without following the magic links of procfs, which
// lead out of any root.
func (p *planner) workingDirectory() error {
	dir := p.Spec.Process.Cwd
	resolve := uint64(unix.RESOLVE_NO_MAGICLINKS)
	if p.omits("cwd-magic-links") {
		resolve = 0
	}
	file := p.slot()
	p.add(
		Step{
			ID: "open-cwd", Barrier: "cwd without magic links",
			Text:   "open the working directory " + dir,
			number: unix.SYS_OPENAT2,
			args:   calls(cwd(), str(dir), mem(openHow(unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, resolve)), num(unix.SizeofOpenHow)),
			out:    file,
		},
		Step{Text: "change into " + dir, number: unix.SYS_FCHDIR, args: calls(from(file))},
	)
	p.lookAtProgram()
	return nil
}

// program holds until the launcher says go, and becomes the program.
func (p *planner) program() error {
	p.add(
		Step{ // not before: a change of ids undoes it, prctl(2)
			ID: "die-with-launcher", Barrier: "PDEATHSIG",
			Text:   "die with the launcher",
			number: unix.SYS_PRCTL, args: calls(num(unix.PR_SET_PDEATHSIG), num(unix.SIGKILL)),
		},
	)
	p.hold("report ready", "wait for start")
	p.add(
		Step{
			ID: "close-descriptors", Barrier: "close-on-exec of launcher descriptors",
			Text:   "mark the descriptors above 2 close-on-exec",
			number: unix.SYS_CLOSE_RANGE, args: calls(num(firstFree), num(^uint32(0)), num(unix.CLOSE_RANGE_CLOEXEC)),
			// 5.10 has the call but not the flag. All that the plan opens is close-on-exec
			// anyway; this is for what a later step might forget.
			tolerate: []unix.Errno{unix.EINVAL},
		},
		// CLONE_CLEAR_SIGHAND has reset all handlers, so a signal that comes from now on ends
		// the child and never runs the launcher's code.
		Step{
			Text:   "unblock all signals",
			number: unix.SYS_RT_SIGPROCMASK, args: calls(num(unix.SIG_SETMASK), mem(make([]byte, 8)), null(), num(8)),
		},
	)
	if p.Spec.Process.NoNewPrivileges {
		// As late as can be, so that the filter need not allow what the steps above call.
		if err := p.seccomp(); err != nil {
			return err
		}
	}
	p.exec()
	return p.survivable()
}

// readySize is the length of the report that the child has come so far.
const readySize = 1

// hold has the child say that it has come so far, and wait until it may go on.
func (p *planner) hold(report, wait string) {
	p.add(
		Step{
			Text:   report,
			number: unix.SYS_WRITE, args: calls(fd(Line), mem(make([]byte, readySize)), num(readySize)), min: readySize,
		},
		Step{
			Text:   wait,
			number: unix.SYS_READ, args: calls(fd(Line), mem(make([]byte, 1)), num(1)), min: 1,
		},
	)
}

func (p *planner) seccomp() error {
	if p.Spec.Linux.Seccomp == nil {
		return nil
	}
	program, err := seccomp.Compile(p.Spec.Linux.Seccomp)
	if err != nil {
		if errors.Is(err, seccomp.ErrNotSupported) {
			return kernel.Unsupported("linux.seccomp: %v", err)
		}
		return fmt.Errorf("linux.seccomp: %w", err)
	}
	p.add(Step{
		ID: "seccomp", Barrier: "seccomp",
		Text:   fmt.Sprintf("load a seccomp filter of %d instructions", len(program.Filters)),
		number: unix.SYS_SECCOMP, args: calls(num(unix.SECCOMP_SET_MODE_FILTER), num(program.Flags), prog(program.Code())),
	})
	p.filter, p.filtered = &program, len(p.plan.Steps)
	return nil
}

// survivable looks at what the plan calls under its own filter. A child that a refused call may kill, or
// that may not even end, must not share the launcher's memory: until Linux commit 0258b5fd7c71
// the core dump of a signal ends all that share it.
func (p *planner) survivable() error {
	if p.filter == nil {
		return nil
	}
	needed := []uintptr{unix.SYS_WRITE, unix.SYS_EXIT_GROUP} // the report of a step that fails
	for i := p.filtered; i < len(p.plan.Steps); i++ {
		needed = append(needed, p.plan.Steps[i].number)
	}
	refused := p.filter.Refuses(needed)
	if slices.Contains(refused, unix.SYS_EXECVE) {
		return errors.New("linux.seccomp refuses execve(2): no program could start")
	}
	if len(refused) > 0 {
		p.plan.Flags &^= unix.CLONE_VM
	}
	return nil
}

// candidates are where the program may lie: in every directory of the container's PATH, as
// execvp(3) looks for it.
func (p *planner) candidates() []string {
	name := p.Spec.Process.Args[0]
	if strings.Contains(name, "/") {
		return []string{name}
	}
	var list []string
	for dir := range strings.SplitSeq(searchPath(p.Spec.Process.Env), ":") {
		list = append(list, path.Join("/", dir, name))
	}
	return list
}

// lookAtProgram refuses a program that is a link to /proc/self/exe: it would be the launcher's
// own, for a process in the container to write to (CVE-2019-5736). It comes before a filter that
// may not know the call.
func (p *planner) lookAtProgram() {
	for _, c := range p.candidates() {
		p.add(Step{
			ID: "exec-magic-links", Barrier: "no magic links to the program",
			Text:     "look at " + c,
			number:   unix.SYS_OPENAT2,
			args:     calls(cwd(), str(c), mem(openHow(unix.O_PATH|unix.O_CLOEXEC, unix.RESOLVE_NO_MAGICLINKS)), num(unix.SizeofOpenHow)),
			tolerate: []unix.Errno{unix.ENOENT, unix.ENOTDIR, unix.EACCES},
		})
	}
}

// exec becomes the first candidate that is there.
func (p *planner) exec() {
	name, candidates := p.Spec.Process.Args[0], p.candidates()
	for i, c := range candidates {
		s := Step{
			ID: "exec", Text: "execute " + c,
			number: unix.SYS_EXECVE, args: calls(str(c), vec(p.Spec.Process.Args), vec(p.Spec.Process.Env)),
		}
		if i < len(candidates)-1 {
			s.tolerate = []unix.Errno{unix.ENOENT, unix.ENOTDIR, unix.EACCES}
		} else if len(candidates) > 1 {
			s.Text = fmt.Sprintf("find %q in PATH", name)
		}
		p.add(s)
	}
}

func searchPath(env []string) string {
	for _, e := range env {
		if v, ok := strings.CutPrefix(e, "PATH="); ok {
			return v
		}
	}
	return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
}

// rlimitNumbers are the kernel's, of asm-generic/resource.h, which x/sys names only in part.
var rlimitNumbers = map[string]int{
	"RLIMIT_CPU": 0, "RLIMIT_FSIZE": 1, "RLIMIT_DATA": 2, "RLIMIT_STACK": 3,
	"RLIMIT_CORE": 4, "RLIMIT_RSS": 5, "RLIMIT_NPROC": 6, "RLIMIT_NOFILE": 7,
	"RLIMIT_MEMLOCK": 8, "RLIMIT_AS": 9, "RLIMIT_LOCKS": 10, "RLIMIT_SIGPENDING": 11,
	"RLIMIT_MSGQUEUE": 12, "RLIMIT_NICE": 13, "RLIMIT_RTPRIO": 14, "RLIMIT_RTTIME": 15,
}

func (p *planner) rlimits() {
	limits := p.Spec.Process.Rlimits
	if p.Host.OpenFiles != nil && !limitsOpenFiles(p.Spec.Process) {
		limits = append(slices.Clone(limits), *p.Host.OpenFiles)
	}
	for _, l := range limits {
		b := make([]byte, 16)
		binary.NativeEndian.PutUint64(b, l.Soft)
		binary.NativeEndian.PutUint64(b[8:], l.Hard)
		p.add(Step{
			ID: "rlimits", Barrier: l.Type,
			Text:   fmt.Sprintf("set %s to %s", l.Type, limitText(l)),
			number: unix.SYS_PRLIMIT64, args: calls(num(0), num(rlimitNumbers[l.Type]), mem(b), null()),
		})
	}
}

func limitText(l specs.POSIXRlimit) string {
	show := func(v uint64) string {
		if v == ^uint64(0) {
			return "unlimited"
		}
		return fmt.Sprint(v)
	}
	if l.Soft == l.Hard {
		return show(l.Soft)
	}
	return show(l.Soft) + ", at most " + show(l.Hard)
}
