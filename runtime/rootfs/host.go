package rootfs

import (
	"errors"
	"fmt"
	"os"
	"slices"
)

// Host is a root directory made of programs of the host.
type Host struct {
	*Root
	// Binaries are the paths of the programs inside the root, in the order they were asked for.
	Binaries []string
	// Files are what was copied, in the order it was copied.
	Files []File
}

// File is a file or a symbolic link that was copied from the host, under the same path.
type File struct {
	Path   string   // absolute, on the host and in the root
	Target string   // of a symbolic link; empty for a file
	Size   int64    // bytes; 0 for a symbolic link
	For    []string // who needs it, in the order it was found out: names asked for, or paths
}

// FromHost makes a root directory below dir with the named programs of the host, which are
// looked up in $PATH, and all that they need to start: interpreters of scripts, the loader, and
// shared libraries. It is `ldd` and `cp` by hand, but reads the ELF files itself and runs nothing.
//
// Everything keeps its path, and symbolic links on the way are kept too (a merged /usr,
// /etc/alternatives, libx.so.1), so that the loader finds there what it finds here. The files
// are copies, never links, without setuid bits, since the container may write to them; the
// blocks are shared where the file system can (FICLONE). What a program opens later is not
// found out: dlopen(3) of NSS or locale modules, configuration, data.
//
// A program or library that is missing is an error that names both.
func FromHost(dir string, binaries ...string) (*Host, error) {
	return fromHost("", os.Getenv("PATH"), dir, binaries)
}

// fromHost is FromHost for a host whose root is the directory prefix.
func fromHost(prefix, path, dir string, binaries []string) (_ *Host, err error) {
	if len(binaries) == 0 {
		return nil, errors.New("rootfs from host: name at least one binary, such as bash")
	}
	r, t, err := newRoot(dir)
	if err != nil {
		return nil, err
	}
	defer r.undo.OnError(&err)
	m := &mirror{host: prefix, tree: t, index: map[string]int{}}
	p := &programs{mirror: m, path: path, libraries: newLoader(m)}
	h := &Host{Root: r}
	for _, name := range binaries {
		inside, err := p.add(name, name, 0)
		if err != nil {
			return nil, fmt.Errorf("binary %q: %w", name, err)
		}
		h.Binaries = append(h.Binaries, inside)
	}
	// On a merged /usr these are links, and #!/bin/sh must work although sh was found elsewhere.
	for _, link := range []string{"/bin", "/sbin", "/lib", "/lib64"} {
		if m.isLink(link) {
			if _, err := m.bring(link, "merged /usr"); err != nil {
				return nil, err
			}
		}
	}
	if err := t.standard(); err != nil {
		return nil, err
	}
	h.Files = slices.Clip(m.files)
	return h, nil
}
