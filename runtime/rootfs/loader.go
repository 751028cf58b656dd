package rootfs

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// loader finds shared libraries as ld.so(8) does, but for LD_LIBRARY_PATH, which the container
// will not have. It finds nothing out about libraries opened with dlopen(3).
type loader struct {
	*mirror
	configured []string // from /etc/ld.so.conf
	conf       bool     // whether that was read
}

func newLoader(m *mirror) *loader { return &loader{mirror: m} }

// loaded is an object with what its $ORIGIN and its inherited DT_RPATH depend on.
type loaded struct {
	*object
	path string
	by   *loaded
}

// add brings the loader and the libraries of the program at path, which f reads.
func (l *loader) add(name string, f io.ReaderAt) error {
	o, err := readObject(f)
	if err != nil {
		return fmt.Errorf("read %q: %w", name, err)
	}
	if o.interpreter != "" {
		if _, err := l.bring(o.interpreter, name); err != nil {
			return fmt.Errorf("loader %q: %w", o.interpreter, err)
		}
	}
	here := map[string]bool{}
	queue := []*loaded{{object: o, path: name}}
	// Breadth first, and each name once: the order of ld.so, which decides who is first found.
	for len(queue) > 0 {
		by := queue[0]
		queue = queue[1:]
		for _, need := range by.needed {
			if here[need] || musl(o.interpreter) && muslBuiltin(need) {
				continue
			}
			here[need] = true
			lib, err := l.find(need, by, o.interpreter)
			if err != nil {
				return err
			}
			if lib.soname != "" {
				here[lib.soname] = true
			}
			if _, err := l.bring(lib.path, by.path); err != nil {
				return fmt.Errorf("library %q: %w", need, err)
			}
			queue = append(queue, lib)
		}
	}
	return nil
}

func (l *loader) find(need string, by *loaded, interpreter string) (*loaded, error) {
	if strings.Contains(need, "/") {
		lib, err := l.try(by.expand(need)[0], by)
		if err != nil {
			return nil, fmt.Errorf("library %q, needed by %q: %w", need, by.path, err)
		}
		return lib, nil
	}
	for _, dir := range by.own() {
		if lib, err := l.try(path.Join(dir, need), by); err == nil {
			return lib, nil
		}
	}
	defaults := defaultDirectories(by.object, interpreter)
	if musl(interpreter) {
		defaults = l.muslDirectories(interpreter)
	} else {
		dirs, err := l.directories()
		if err != nil {
			return nil, err
		}
		for _, dir := range dirs {
			lib, err := l.try(path.Join(dir, need), by)
			if err != nil {
				continue
			}
			return lib, l.cache(dir, defaults, lib.path)
		}
	}
	for _, dir := range defaults {
		if lib, err := l.try(path.Join(dir, need), by); err == nil {
			return lib, nil
		}
	}
	return nil, fmt.Errorf("library %q, needed by %q: not found, install its package or add its directory to /etc/ld.so.conf%w", need, by.path, silent{unix.ENOENT})
}

var errOtherMachine = errors.New("is for another machine")

// try reads the library at name. One for another machine is passed over, as the loader does.
func (l *loader) try(name string, by *loaded) (*loaded, error) {
	if !path.IsAbs(name) {
		return nil, fmt.Errorf("%q is relative to a directory that the container does not have", name)
	}
	f, err := l.open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // nothing was written
	o, err := readObject(f)
	if err != nil {
		return nil, fmt.Errorf("read %q: %w", name, err)
	}
	if o.class != by.class || o.machine != by.machine {
		return nil, fmt.Errorf("%q %w", name, errOtherMachine)
	}
	return &loaded{object: o, path: name, by: by}, nil
}

// own returns the directories that the object itself names: its DT_RUNPATH, or without one its
// DT_RPATH and those of everything that led to it.
func (o *loaded) own() []string {
	if len(o.runpath) > 0 {
		return o.expandAll(o.runpath)
	}
	var dirs []string
	for at := o; at != nil; at = at.by {
		if len(at.runpath) == 0 {
			dirs = append(dirs, at.expandAll(at.rpath)...)
		}
	}
	return dirs
}

func (o *loaded) expandAll(list []string) []string {
	var dirs []string
	for _, dir := range list {
		dirs = append(dirs, o.expand(dir)...)
	}
	return dirs
}

// expand replaces $ORIGIN, $LIB and $PLATFORM, ld.so(8). What $LIB means is built into each
// loader: Debian's and the others' meaning are both tried.
func (o *loaded) expand(s string) []string {
	m := machines[o.machine]
	libs := []string{"lib/" + m.triplet, "lib64"}
	if o.class == elf.ELFCLASS32 {
		libs[1] = "lib"
	}
	if !strings.Contains(s, "$LIB") && !strings.Contains(s, "${LIB}") {
		libs = libs[:1]
	}
	var all []string
	for _, lib := range libs {
		r := strings.NewReplacer(
			"${ORIGIN}", path.Dir(o.path), "$ORIGIN", path.Dir(o.path),
			"${LIB}", lib, "$LIB", lib,
			"${PLATFORM}", m.platform, "$PLATFORM", m.platform)
		all = append(all, r.Replace(s))
	}
	return all
}
