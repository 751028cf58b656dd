package guest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// cgroups mounts control groups.
type cgroups struct {
	root  string // "/sys/fs/cgroup"
	proc  string // "/proc/cgroups"
	mount func(source, target, kind string, flags uintptr, data string) error
	mkdir func(path string) error // of a group
}

// makeGroup is mkdir for the kernel's own file system.
func makeGroup(path string) error { return os.Mkdir(path, 0o755) }

// The groups of a v2 guest, made as systemd does: the root group has no limits of its own and
// may not be used as one, so that init and the command each get a group.
const (
	initGroup    = "init.scope"
	sessionGroup = "session"
)

// systemd mounts these together and links the names of the single ones to them.
var joined = [][]string{{"cpu", "cpuacct"}, {"net_cls", "net_prio"}}

// expected are the v1 controllers whose absence gets a note; the others are rarely built.
var expected = []string{"cpuset", "cpu", "cpuacct", "blkio", "memory", "devices", "freezer", "pids"}

// unified are those of v2 by the same rule.
var unified = []string{"cpuset", "cpu", "io", "memory", "pids"}

const cgroupFlags = noSet | noDev | noExec

// up mounts the hierarchies of a mode. It returns the directory of the group for the command, ""
// where that stays in the root groups, and what the kernel lacks.
func (c cgroups) up(mode string) (session string, notes []string, err error) {
	switch mode {
	case "":
		return "", nil, nil
	case V2:
		return c.v2()
	case V1:
		notes, err = c.v1(nil)
	case Hybrid:
		notes, err = c.hybrid()
	default:
		return "", nil, fmt.Errorf("mount control groups: unknown mode %q", mode)
	}
	return "", notes, err
}

func (c cgroups) v2() (session string, notes []string, err error) {
	if err := c.mountUnified(c.root); err != nil {
		return "", nil, err
	}
	for _, group := range []string{initGroup, sessionGroup} {
		if err := c.mkdir(filepath.Join(c.root, group)); err != nil {
			return "", nil, fmt.Errorf("make the group %s: %w", group, err)
		}
	}
	if err := write(filepath.Join(c.root, initGroup, "cgroup.procs"), "1"); err != nil {
		return "", nil, fmt.Errorf("move init: %w", err)
	}
	text, err := os.ReadFile(filepath.Join(c.root, "cgroup.controllers"))
	if err != nil {
		return "", nil, fmt.Errorf("find the controllers: %w", err)
	}
	controllers := strings.Fields(string(text))
	for _, name := range controllers {
		// One by one: a controller that cannot be enabled must not take the others with it.
		if err := write(filepath.Join(c.root, "cgroup.subtree_control"), "+"+name); err != nil {
			notes = append(notes, fmt.Sprintf("cgroup v2: enable %s: %v", name, err))
		}
	}
	return filepath.Join(c.root, sessionGroup), append(notes, lacking("v2", unified, controllers)...), nil
}

// mountUnified mounts v2 with the options of systemd, or those of them that the kernel knows.
func (c cgroups) mountUnified(target string) error {
	var err error
	for _, data := range []string{"nsdelegate,memory_recursiveprot", "nsdelegate", ""} {
		if err = c.mount("cgroup2", target, "cgroup2", cgroupFlags, data); err == nil || !errors.Is(err, unix.EINVAL) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("mount cgroup2 on %s: %w", target, err)
	}
	return nil
}

// v1 mounts controllers below a tmpfs, each by itself or with those of its group.
func (c cgroups) v1(groups [][]string) (notes []string, err error) {
	if err := c.mount("tmpfs", c.root, "tmpfs", cgroupFlags, "mode=755"); err != nil {
		return nil, fmt.Errorf("mount tmpfs on %s: %w", c.root, err)
	}
	text, err := os.ReadFile(c.proc)
	if err != nil {
		return nil, fmt.Errorf("find the v1 controllers: %w", err)
	}
	controllers := parseControllers(string(text))
	var got []string
	for _, names := range together(controllers, groups) {
		if err := c.mountV1(strings.Join(names, ","), strings.Join(names, ",")); err != nil {
			// The kernel shows a controller that it has for v2 alone.
			notes = append(notes, "cgroup v1: "+err.Error())
			continue
		}
		got = append(got, names...)
		if len(names) == 1 {
			continue
		}
		for _, name := range names {
			if err := os.Symlink(strings.Join(names, ","), filepath.Join(c.root, name)); err != nil {
				return notes, fmt.Errorf("link a controller: %w", err)
			}
		}
	}
	// As systemd and the container engines have it; since 5.11 it is always so.
	file := filepath.Join(c.root, "memory", "memory.use_hierarchy")
	if err := write(file, "1"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		notes = append(notes, fmt.Sprintf("cgroup v1: %v", err))
	}
	return append(notes, lacking("v1", expected, got)...), nil
}

func (c cgroups) hybrid() (notes []string, err error) {
	notes, err = c.v1(joined)
	if err != nil {
		return notes, err
	}
	if err := c.mountV1("systemd", "none,name=systemd"); err != nil {
		notes = append(notes, "cgroup v1: "+err.Error())
	}
	dir := filepath.Join(c.root, "unified")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return notes, fmt.Errorf("mount cgroup2: %w", err)
	}
	return notes, c.mountUnified(dir)
}

func (c cgroups) mountV1(name, data string) error {
	dir := filepath.Join(c.root, name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	if err := c.mount("cgroup", dir, "cgroup", cgroupFlags, data); err != nil {
		return errors.Join(fmt.Errorf("mount %s: %w", name, err), os.Remove(dir))
	}
	return nil
}

// parseControllers returns the enabled controllers of a file in the form of /proc/cgroups,
// cgroups(7).
func parseControllers(text string) (names []string) {
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) == 4 && !strings.HasPrefix(line, "#") && f[3] == "1" {
			names = append(names, f[0])
		}
	}
	return names
}

// together puts each name with the others of its group that there are.
func together(names []string, groups [][]string) (sets [][]string) {
	done := map[string]bool{}
	for _, name := range names {
		if done[name] {
			continue
		}
		set := []string{name}
		for _, group := range groups {
			if slices.Contains(group, name) {
				set = slices.DeleteFunc(slices.Clone(group), func(other string) bool { return !slices.Contains(names, other) })
			}
		}
		for _, n := range set {
			done[n] = true
		}
		sets = append(sets, set)
	}
	return sets
}

// onlyV2 are the options without which a kernel has a controller for v2 alone: of Debian's those
// since 6.12.
var onlyV2 = map[string]string{"cpuset": "CONFIG_CPUSETS_V1", "memory": "CONFIG_MEMCG_V1"}

func lacking(version string, wanted, got []string) (notes []string) {
	for _, name := range wanted {
		if slices.Contains(got, name) {
			continue
		}
		note := fmt.Sprintf("cgroup %s: there is no controller %s", version, name)
		if option := onlyV2[name]; version == "v1" && option != "" {
			note += ": kernels since 6.12 may have it for v2 alone, without " + option
		}
		notes = append(notes, note)
	}
	return notes
}

// write writes a file that is there: a control file is never made.
func write(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}
