package sentinel

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/spec"
	"cellwall/suites/attack"
)

// defaultNodes are the devices of the OCI runtime-spec (config-linux.md, "Default Devices"), by
// their path below /dev, and what comes with a devpts and a terminal.
var defaultNodes = map[string]uint64{
	"null":     unix.Mkdev(1, 3),
	"zero":     unix.Mkdev(1, 5),
	"full":     unix.Mkdev(1, 7),
	"random":   unix.Mkdev(1, 8),
	"urandom":  unix.Mkdev(1, 9),
	"tty":      unix.Mkdev(5, 0),
	"console":  unix.Mkdev(5, 1),
	"ptmx":     unix.Mkdev(5, 2),
	"pts/ptmx": unix.Mkdev(5, 2),
}

// ptySlaves are the majors of the terminals in a devpts: UNIX98_PTY_SLAVE_MAJOR and the next 7.
const ptySlaves, ptySlaveMajors = 136, 8

// DevicesDefault walks the attacker's /dev from outside.
func DevicesDefault(*Stage) (*Watch, error) {
	var strange []string
	nodes := -1
	return &Watch{
		Hold: func(_ context.Context, _ string, a *Subject) (err error) {
			nodes, strange, err = walkDev(fmt.Sprintf("/proc/%d/root/dev", a.PID))
			return err
		},
		Look: func(context.Context, *Subject, attack.Record) (Finding, error) {
			if nodes < 0 {
				return Finding{}, errors.New("the attacker did not hold")
			}
			f := Finding{Breached: len(strange) > 0, Evidence: fmt.Sprintf("%d device nodes in its /dev, %d beyond the default ones", nodes, len(strange))}
			if f.Breached {
				f.Evidence += ": " + strings.Join(strange[:min(len(strange), 5)], ", ")
			}
			return f, nil
		},
	}, nil
}

// walkDev counts the device nodes below dir, and names those that are none of the default ones.
func walkDev(dir string) (nodes int, strange []string, err error) {
	err = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) { // gone meanwhile, or a root without /dev
			return nil
		}
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			if errors.Is(err, unix.ENOENT) {
				return nil
			}
			return fmt.Errorf("look at %s: %w", path, err)
		}
		kind := st.Mode & unix.S_IFMT
		if kind != unix.S_IFCHR && kind != unix.S_IFBLK {
			return nil
		}
		nodes++
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		major := unix.Major(st.Rdev)
		want, listed := defaultNodes[name]
		terminal := strings.HasPrefix(name, "pts/") && major >= ptySlaves && major < ptySlaves+ptySlaveMajors
		if kind == unix.S_IFCHR && (listed && want == st.Rdev || !listed && terminal) {
			return nil
		}
		strange = append(strange, fmt.Sprintf("%.40q %d:%d", name, major, unix.Minor(st.Rdev)))
		return nil
	})
	return nodes, strange, err
}

// NodesAbsent looks for device nodes in three directories of the container: of its root
// directory, of a tmpfs and of a volume. The target's Paths are theirs.
func NodesAbsent(s *Stage) (*Watch, error) {
	volume := filepath.Join(s.Dir, "volume")
	places := []string{"/nodes/rootfs", "/nodes/tmpfs", "/nodes/volume"}
	for _, dir := range []string{volume, s.Rootfs + "/nodes", s.Rootfs + places[0], s.Rootfs + places[1], s.Rootfs + places[2]} {
		if err := os.Mkdir(dir, 0o755); err != nil { // see chmod
			return nil, fmt.Errorf("make a directory for nodes: %w", err)
		}
		if err := os.Chmod(dir, 0o777); err != nil { // modes are not the barrier
			return nil, fmt.Errorf("make a directory for nodes: %w", err)
		}
	}
	var found []string
	most := map[string]int{} // nodes, by the name of the directory
	held := false
	return &Watch{
		Edits: spec.Edits{
			spec.WithMount(specs.Mount{Destination: places[1], Type: "tmpfs", Source: "tmpfs", Options: []string{"mode=777", "size=64k"}}),
			spec.WithMount(spec.Bind(volume, places[2])),
		},
		Target: attack.Target{Paths: places},
		Hold: func(_ context.Context, _ string, a *Subject) error {
			held = true
			dirs := []string{volume}
			for _, p := range places {
				dirs = append(dirs, s.Rootfs+p, fmt.Sprintf("/proc/%d/root%s", a.PID, p))
			}
			for _, d := range dirs {
				n, _, err := walkDev(d)
				if err != nil {
					return err
				}
				if n > 0 {
					most[filepath.Base(d)] = max(most[filepath.Base(d)], n)
					found = append(found, fmt.Sprintf("%d below %s", n, filepath.Base(d)))
				}
			}
			return nil
		},
		Look: func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
			if !held {
				return Finding{}, errors.New("the attacker did not hold")
			}
			f := Finding{Evidence: fmt.Sprintf("no device node in %d directories", len(places))}
			var parts []part
			for _, p := range places {
				n := most[filepath.Base(p)]
				parts = append(parts, part{"a node below " + p, n > 0}, part{"a second node below " + p, n > 1})
			}
			if len(found) > 0 {
				slices.Sort(found)
				f.Evidence = "device nodes: " + strings.Join(slices.Compact(found), ", ")
				return f.of(parts...), nil
			}
			return f, MustTry(r, "mknod ", "mknodat ")
		},
	}, nil
}
