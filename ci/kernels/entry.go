package kernels

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// entry checks a kernel of a file.
func (r *reader) entry(w *writtenEntry) Entry {
	e := Entry{File: r.File, Line: firstLine(w)}
	e.Name = r.word(&w.Name, e.Line, "name", aName, "debian-12")
	if e.Arch = r.Text(&w.Arch, "arch"); !slices.Contains(arches, e.Arch) {
		r.Fail(max(w.Arch.Line, e.Line), "arch %.40q is none: it is one of %s", e.Arch, strings.Join(arches, ", "))
	}
	if w.Path.Kind != 0 {
		r.local(&e, w)
		return e
	}
	if w.Suite.Kind == 0 {
		r.Fail(e.Line, "kernel %s has neither a suite and a package, nor a path", e.Name)
	}
	e.Suite = r.word(&w.Suite, e.Line, "suite", aSuite, "bookworm")
	e.Package = r.word(&w.Package, e.Line, "package", aPackage, "linux-image-cloud-"+e.Arch)
	if w.Modules.Kind != 0 {
		r.Fail(w.Modules.Line, "modules belong to a path: those of a package are in it")
	}
	e.Mirrors = r.mirrors(w.Mirrors)
	for i := range w.Pin {
		p := &w.Pin[i]
		line := max(p.Package.Line, p.Version.Line, p.SHA256.Line, e.Line)
		d := Deb{
			Package: r.word(&p.Package, line, "package of a pin", aPackage, "linux-image-6.1.0-50-cloud-amd64"),
			Version: r.word(&p.Version, line, "version of a pin", aVersion, "6.1.176-1"),
			SHA256:  r.word(&p.SHA256, line, "sha256 of a pin", aSum, strings.Repeat("0123456789abcdef", 4)+", 64 small hex digits"),
		}
		if slices.ContainsFunc(e.Pin, func(o Deb) bool { return o.Package == d.Package }) {
			r.Fail(p.Package.Line, "%s is pinned twice: keep the one that is right", d.Package)
		}
		e.Pin = append(e.Pin, d)
	}
	return e
}

// local is a kernel by its path, which has nothing of Debian's.
func (r *reader) local(e *Entry, w *writtenEntry) {
	e.Image, e.Modules = r.path(&w.Path, "path"), r.path(&w.Modules, "modules")
	for _, o := range []struct {
		key  string
		line int
	}{{"suite", w.Suite.Line}, {"package", w.Package.Line}, {"mirrors", lineOf(w.Mirrors)}, {"pin", pinLine(w)}} {
		if o.line > 0 {
			r.Fail(o.line, "%s and path exclude each other: a kernel by its path is no package", o.key)
		}
	}
}

func lineOf(nodes []yaml.Node) int {
	if len(nodes) == 0 {
		return 0
	}
	return nodes[0].Line
}

func pinLine(w *writtenEntry) int {
	if len(w.Pin) == 0 {
		return 0
	}
	p := &w.Pin[0]
	return max(p.Package.Line, p.Version.Line, p.SHA256.Line)
}

// firstLine is where an entry begins.
func firstLine(w *writtenEntry) int {
	first := 0
	for _, line := range []int{w.Name.Line, w.Arch.Line, w.Suite.Line, w.Package.Line, lineOf(w.Mirrors), w.Path.Line, w.Modules.Line} {
		if line > 0 && (first == 0 || line < first) {
			first = line
		}
	}
	return first
}
