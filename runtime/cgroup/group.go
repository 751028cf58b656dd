package cgroup

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"cellwall/runtime/cleanup"
	"cellwall/runtime/kernel"
)

// Group is one control group: a directory in each hierarchy that it needs. It is safe for
// concurrent use.
type Group struct {
	name string
	view bool // from Open: Set, Freeze, Kill refuse, Close removes nothing

	mu      sync.Mutex
	dirs    []*dir // v2 last
	parents []*dir // beside dirs; nil in a view
	removed int    // how many of dirs are
	users   int    // calls that use dirs without mu; the last of them closes what Close has left
	limits  Limits // what Set has been given
	devices *ebpf.Program
	closed  bool
	onClose func()
}

var errClosed = errors.New("the group was closed")

// use keeps the descriptors of the group open until release: one that Close had given back could be
// another group's by then.
func (g *Group) use() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return fmt.Errorf("cgroup %s: %w", g.name, errClosed)
	}
	g.users++
	return nil
}

func (g *Group) release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.users--
	g.letGo()
}

// letGo closes the descriptors of a closed group that nobody uses. The caller holds mu.
func (g *Group) letGo() {
	if !g.closed || g.users > 0 {
		return
	}
	for _, d := range g.dirs {
		d.close()
	}
	g.dirs, g.parents = nil, nil
}

// always are the controllers that every new group gets where the host has them, so that it can
// be counted. The others cost time and are made only for a limit that needs them. freezer is
// among them only without a v2 hierarchy, which freezes by itself.
var always = []string{"cpu", "cpuacct", "memory", "pids"}

// Create makes a group below the caller's own and sets its limits. On v2, where controllers must
// be enabled for that, the caller's own group is changed until Tree.Close. A limit that this
// host cannot express wraps kernel.ErrNotSupported. On an error nothing is left.
func (t *Tree) Create(name string, l Limits) (*Group, error) {
	for _, c := range l.controllers() {
		if t.dir(c) == nil && (c != "devices" || t.v2() == nil) {
			return nil, fmt.Errorf("make cgroup %q: %w", name, t.lacks(c))
		}
	}
	if d := t.v2(); d != nil {
		d.share()
	}
	g, err := create(t.own, name, l, true)
	if err != nil {
		return nil, err
	}
	t.groups.Add(1)
	g.onClose = func() { t.groups.Add(-1) }
	return g, nil
}

// Create makes a group below g, in hierarchies that g has. On v2 g may then hold no processes
// of its own. The new group must be closed before g.
func (g *Group) Create(name string, l Limits) (*Group, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil, fmt.Errorf("make cgroup %q: %w", name, errClosed)
	}
	for _, c := range l.controllers() {
		if g.dir(c) == nil && (c != "devices" || g.v2() == nil) {
			return nil, fmt.Errorf("make cgroup %q: %w", name, g.lacks(c))
		}
	}
	return create(g.dirs, name, l, false)
}

func create(parents []*dir, name string, l Limits, evacuate bool) (_ *Group, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("make cgroup %q: %w", name, err)
		}
	}()
	if name == "" || len(name) > unix.NAME_MAX || name[0] == '.' || strings.ContainsAny(name, "/\n") {
		return nil, errors.New("not a name for a group")
	}
	if err := l.check(); err != nil {
		return nil, err
	}
	needs := append(l.controllers(), always...)
	if !parents[len(parents)-1].v2 {
		needs = append(needs, "freezer")
	}
	g := &Group{name: name}
	var undo cleanup.Stack
	defer undo.OnError(&err)
	for _, p := range parents {
		uses := slices.DeleteFunc(p.available(), func(c string) bool { return !slices.Contains(needs, v2Name(c)) })
		if p.v2 {
			if err := p.enable(uses, evacuate); err != nil {
				return nil, err
			}
		} else if len(uses) == 0 {
			continue
		}
		d, err := p.mkdir(name, &undo)
		if err != nil {
			return nil, err
		}
		g.dirs, g.parents = append(g.dirs, d), append(g.parents, p)
		if err := d.prepare(p); err != nil {
			return nil, err
		}
	}
	if err := g.set(l); err != nil {
		return nil, err
	}
	return g, nil
}

func (d *dir) mkdir(name string, undo *cleanup.Stack) (*dir, error) {
	if err := unix.Mkdirat(d.fd, name, 0o755); err != nil {
		if errors.Is(err, unix.EEXIST) {
			err = fmt.Errorf("%w: remove it with cellwall clean, or take another name", err)
		}
		if errors.Is(err, unix.ENOENT) {
			// The kernel lacks nothing: somebody has removed the group that is to hold it.
			return nil, fmt.Errorf("make %s: %s is gone: %w", path.Join(d.path, name), d.path, err)
		}
		return nil, d.wrap("make", name, err)
	}
	undo.Push("remove cgroup", func() error { return unix.Unlinkat(d.fd, name, unix.AT_REMOVEDIR) })
	c, err := openDir(d, d.fd, name, path.Join(d.path, name))
	if err != nil {
		return nil, err
	}
	undo.Push("close cgroup", func() error { c.close(); return nil })
	return c, nil
}

// prepare brings a new v1 group into the state that a v2 group starts in.
func (d *dir) prepare(parent *dir) error {
	if d.v2 {
		return nil
	}
	if slices.Contains(d.controllers, "cpuset") {
		// Empty until written, and no task may join before: cgroup.clone_children would do
		// this, but by a change of the parent.
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			value, err := parent.read(file)
			if err != nil {
				return err
			}
			if err := d.write(file, value); err != nil {
				return err
			}
		}
	}
	if slices.Contains(d.controllers, "memory") {
		// Up to 5.10 a child of a flat group is flat: groups below it would escape its limit.
		if flat, err := d.read("memory.use_hierarchy"); err == nil && flat == "0" {
			return d.write("memory.use_hierarchy", "1")
		}
	}
	return nil
}

// Open returns a view of the groups that a process is in, for one who observes. It reads; its
// Close releases descriptors and removes nothing. Join works where the caller may write.
func Open(pid int) (*Group, error) {
	t, err := find(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return nil, fmt.Errorf("open cgroups of process %d: %w", pid, err)
	}
	return &Group{name: path.Base(t.own[len(t.own)-1].path), view: true, dirs: t.own}, nil
}

// Name is the last part of the group's path.
func (g *Group) Name() string { return g.name }

// Path returns the group's directory on the host in the hierarchy of a controller, under v2's
// name; "" is the v2 hierarchy, or the first where there is none. It returns "" where the group
// has no such directory.
func (g *Group) Path(controller string) string {
	if g.use() != nil {
		return ""
	}
	defer g.release()
	d := g.dir(controller)
	if d == nil && controller == "" {
		d = g.dirs[len(g.dirs)-1]
	}
	if d == nil {
		return ""
	}
	return d.path
}

// dir returns the group's directory that has a controller; nil if none.
func (g *Group) dir(controller string) *dir {
	for _, d := range g.dirs {
		if d.v2 && controller == "" {
			return d
		}
		if slices.ContainsFunc(d.available(), func(c string) bool { return v2Name(c) == controller }) {
			return d
		}
	}
	return nil
}

func (g *Group) v2() *dir { return g.dir("") }

func (g *Group) lacks(controller string) error {
	return kernel.Unsupported("group %s has no %s controller: name a limit for it when making the group", g.name, controller)
}

// Add moves a process into the group. One that is to start there needs Join instead.
func (g *Group) Add(pid int) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return fmt.Errorf("move process %d: %w", pid, errClosed)
	}
	for _, d := range g.dirs {
		if err := d.write("cgroup.procs", strconv.Itoa(pid)); err != nil {
			return fmt.Errorf("move process %d: %w", pid, err)
		}
	}
	return nil
}

// Join returns what a launcher needs to put a child into the group.
func (g *Group) Join() (Join, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	j := Join{Into: -1}
	if g.closed {
		return j, fmt.Errorf("join cgroup %s: %w", g.name, errClosed)
	}
	for _, d := range g.dirs {
		if d.v2 {
			j.Into = d.fd
			continue
		}
		if d.tasks < 0 {
			fd, err := d.open("tasks", unix.O_WRONLY)
			if err != nil {
				return Join{Into: -1}, err
			}
			d.tasks = fd
		}
		j.Tasks = append(j.Tasks, d.tasks)
	}
	return j, nil
}
