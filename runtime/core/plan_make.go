package core

import (
	"path"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// makeTargets makes the mount points in the root directory while the child still has the
// launcher's ids: the user namespace's root may not own the root directory. What cannot be
// made here is made, or fails, at its mount.
func (p *planner) makeTargets() {
	for _, m := range p.Spec.Mounts {
		at := path.Join("/", m.Destination)
		for _, dir := range directories(path.Dir(at)) {
			p.add(tolerant(p.directory(dir))...)
		}
		p.add(tolerant(p.target(m, at))...)
	}
}

// tolerant lets steps that belong together fail for what the launcher may not, or not yet, do.
func tolerant(steps []Step) []Step {
	for i := range steps {
		steps[i].tolerate = append(steps[i].tolerate, unix.EACCES, unix.EROFS, unix.EPERM, unix.ENOENT, unix.ENOTDIR)
		steps[i].skip = len(steps) - 1 - i
	}
	return steps
}

// makeDirectories adds the steps that make a directory and those above it, but for what earlier
// steps have made.
func (p *planner) makeDirectories(dir string) {
	for _, at := range directories(dir) {
		if p.made[at] {
			continue
		}
		if p.made == nil {
			p.made = map[string]bool{}
		}
		p.made[at] = true
		p.add(p.directory(at)...)
	}
}

// hide forgets what was made below a path: a mount lies over it now.
func (p *planner) hide(at string) {
	for made := range p.made {
		if strings.HasPrefix(made, at+"/") {
			delete(p.made, made)
		}
	}
}

// directories lists a directory and those above it, the highest first.
func directories(dir string) []string {
	var list []string
	at := ""
	for name := range strings.SplitSeq(strings.Trim(path.Clean(dir), "/"), "/") {
		if name == "" || name == "." {
			continue
		}
		at += "/" + name
		list = append(list, at)
	}
	return list
}

func (p *planner) directory(at string) []Step {
	return p.make(at, Step{Text: "make directory " + at, number: unix.SYS_MKDIRAT, args: calls(num(0o755))})
}

// target makes the mount point itself: a file for a bind of one, else a directory.
func (p *planner) target(m specs.Mount, at string) []Step {
	if !slices.Contains(p.Host.Files, m.Source) {
		return p.directory(at)
	}
	return p.make(at, Step{Text: "make file " + at, number: unix.SYS_MKNODAT, args: calls(num(unix.S_IFREG|0o644), num(0))})
}

// make completes a step that makes something at a path. What is above is the image's: a link
// there may lead through procfs to another process's root, so that it is opened first.
func (p *planner) make(at string, s Step) []Step {
	s.tolerate = []unix.Errno{unix.EEXIST}
	dir, name := path.Split(at)
	if dir == "/" {
		s.args = append(calls(cwd(), str(at)), s.args...)
		return []Step{s}
	}
	above := p.slot()
	s.args = append(calls(from(above), str(name)), s.args...)
	how := openHow(unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, unix.RESOLVE_NO_MAGICLINKS)
	return []Step{
		{
			Text: "open directory " + path.Clean(dir), Barrier: "in-root path resolution",
			number: unix.SYS_OPENAT2, args: calls(cwd(), str(dir), mem(how), num(unix.SizeofOpenHow)), out: above,
		}, s,
	}
}

func (p *planner) mkfile(at string) Step {
	return Step{
		Text:   "make file " + at,
		number: unix.SYS_MKNODAT, args: calls(cwd(), str(at), num(unix.S_IFREG|0o644), num(0)), tolerate: []unix.Errno{unix.EEXIST},
	}
}
