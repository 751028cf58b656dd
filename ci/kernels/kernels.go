// Package kernels has the kernels that cellwall boots: it reads the file that names them, gets them
// from Debian's mirrors into a cache, and finds them there again without a network.
//
// Nothing of it needs root, and nothing of the host's own package management is read or written:
// apt gets a configuration, a state and a cache of its own. Do not use it to install anything.
package kernels

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Kernel is a kernel that is there to be booted.
type Kernel struct {
	Name    string // of the matrix file: "debian-12"
	Release string // what uname -r will say: "6.1.0-50-cloud-amd64"
	Arch    string // as GOARCH spells it: "amd64" or "arm64"
	Image   string // path of its vmlinuz or Image
	Modules string // path of its lib/modules/RELEASE; empty: everything is built in
}

// Entry is one kernel of the matrix file: of a Debian suite, or by its path.
type Entry struct {
	Name string
	Arch string // "amd64" or "arm64", which Debian and Go spell alike

	// Of a Debian suite.
	Suite   string // "bookworm", "trixie-backports"
	Package string // what is followed, mostly a meta-package: "linux-image-cloud-amd64"
	Pin     []Deb  // the packages that hold the kernel; empty: not pinned yet
	Mirrors []string
	Keyring string // of those who sign the suite

	// By its path. Both are absolute.
	Image   string
	Modules string // may be empty

	File string // the matrix file, for messages
	Line int
}

// Deb is a package file, pinned.
type Deb struct {
	Package string // "linux-image-6.1.0-50-cloud-amd64"
	Version string // Debian's: "6.1.176-1"
	SHA256  string // of the .deb, in hex
}

func (d Deb) String() string { return d.Package + " " + d.Version }

// Local reports whether the kernel is named by its path.
func (e Entry) Local() bool { return e.Image != "" }

// Pinned reports whether the entry says which bytes it means. A kernel by its path needs no pin.
func (e Entry) Pinned() bool { return e.Local() || len(e.Pin) > 0 }

// where is how messages about an entry begin.
func (e Entry) where() string { return fmt.Sprintf("%s:%d: kernel %s", e.File, e.Line, e.Name) }

// ErrUnpinned is the error of an entry that does not say which bytes it means.
var ErrUnpinned = errors.New("not pinned")

func (e Entry) unpinned() error {
	return fmt.Errorf("%s: %w to a version and a checksum: run `cellwall kernels fetch --pin %s`", e.where(), ErrUnpinned, e.Name)
}

// local is the kernel of an entry that names a path. The image itself says what it is.
func (e Entry) local() (Kernel, error) {
	k := Kernel{Name: e.Name, Arch: e.Arch, Image: e.Image, Modules: e.Modules}
	f, err := os.Open(e.Image)
	if err != nil {
		return Kernel{}, fmt.Errorf("%s: %w", e.where(), err)
	}
	defer f.Close() //nolint:errcheck // read-only
	arch, release, err := inspect(f)
	if err != nil {
		return Kernel{}, fmt.Errorf("%s: %s: %w", e.where(), e.Image, err)
	}
	if arch != e.Arch {
		return Kernel{}, fmt.Errorf("%s: %s is for %s, and the entry says %s", e.where(), e.Image, arch, e.Arch)
	}
	if k.Release = release; e.Modules == "" {
		if release == "" {
			return Kernel{}, fmt.Errorf("%s: %s does not tell its release: name its modules, whose directory does", e.where(), e.Image)
		}
		return k, nil
	}
	of := filepath.Base(e.Modules)
	if release == "" {
		k.Release = of
	}
	if of != k.Release {
		return Kernel{}, fmt.Errorf("%s: %s is release %s, and %s are the modules of another", e.where(), e.Image, release, e.Modules)
	}
	if info, err := os.Stat(e.Modules); err != nil {
		return Kernel{}, fmt.Errorf("%s: %w", e.where(), err)
	} else if !info.IsDir() {
		return Kernel{}, fmt.Errorf("%s: %s is no directory", e.where(), e.Modules)
	}
	return k, nil
}
