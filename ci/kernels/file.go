package kernels

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"

	"cellwall/runtime/yamlfile"
)

// What a matrix file means where it says nothing.
const (
	DefaultMirror  = "http://deb.debian.org/debian"
	DefaultKeyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
)

// Everything that becomes an argument of apt, a line of its configuration or a file name.
var (
	aName    = matching(`^[a-z0-9][a-z0-9._-]{0,63}$`)
	aSuite   = matching(`^[a-z][a-z0-9-]{0,63}$`)
	aPackage = matching(`^linux-(image|binary|modules|base)-[a-z0-9.+-]{0,120}[a-z0-9]$`)
	aVersion = matching(`^[0-9][A-Za-z0-9.+~:-]{0,127}$`)
	aSum     = matching(`^[0-9a-f]{64}$`)
	aRelease = matching(`^[0-9][A-Za-z0-9._+~-]{0,63}$`)
)

// form is what a word must look like. It is compiled at its first use: as package variables these took
// every start of the program half a millisecond.
type form func() *regexp.Regexp

func matching(expr string) form {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}

func (f form) MatchString(s string) bool { return f().MatchString(s) }

// arches are those that we boot.
var arches = []string{"amd64", "arm64"}

// maxFile is far more than any matrix needs, in bytes.
const maxFile = 1 << 20

// Read reads and checks a matrix file. Errors are one line, with file and line.
func Read(file string) ([]Entry, error) {
	raw, err := readFile(file)
	if err != nil {
		return nil, err
	}
	return parse(file, raw)
}

func readFile(file string) ([]byte, error) { return yamlfile.Read(file, "list of kernels", maxFile) }

// written is the file as it is written. Nodes know their lines.
type written struct {
	Mirrors []yaml.Node    `yaml:"mirrors"`
	Keyring yaml.Node      `yaml:"keyring"`
	Kernels []writtenEntry `yaml:"kernels"`
}

type writtenEntry struct {
	Name    yaml.Node    `yaml:"name"`
	Arch    yaml.Node    `yaml:"arch"`
	Suite   yaml.Node    `yaml:"suite"`
	Package yaml.Node    `yaml:"package"`
	Mirrors []yaml.Node  `yaml:"mirrors"`
	Pin     []writtenDeb `yaml:"pin"`
	Path    yaml.Node    `yaml:"path"`
	Modules yaml.Node    `yaml:"modules"`
}

type writtenDeb struct {
	Package yaml.Node `yaml:"package"`
	Version yaml.Node `yaml:"version"`
	SHA256  yaml.Node `yaml:"sha256"`
}

func parse(file string, raw []byte) ([]Entry, error) {
	var w written
	switch err := yamlfile.Decode(file, raw, &w); {
	case err != nil && !errors.Is(err, io.EOF):
		return nil, fmt.Errorf("%w: docs/kernels.md has the keys", err)
	case len(w.Kernels) == 0:
		return nil, fmt.Errorf("%s: kernels is missing: a list, each with a name, an arch, and a suite and a package, or a path", file)
	}
	r := reader{yamlfile.Reader{File: file}}
	mirrors := r.mirrors(w.Mirrors)
	if len(mirrors) == 0 {
		mirrors = []string{DefaultMirror}
	}
	keyring := DefaultKeyring
	if w.Keyring.Kind != 0 {
		keyring = r.path(&w.Keyring, "keyring")
		if strings.ContainsAny(keyring, " \t,[]\"") {
			r.Fail(w.Keyring.Line, "keyring %q: apt takes no name with blanks, commas, quotes or brackets", keyring)
		}
	}
	var entries []Entry
	for i := range w.Kernels {
		e := r.entry(&w.Kernels[i])
		if !e.Local() {
			e.Keyring = keyring
			if len(e.Mirrors) == 0 {
				e.Mirrors = mirrors
			}
		}
		if other := slices.IndexFunc(entries, func(o Entry) bool { return o.Name == e.Name }); other >= 0 {
			r.Fail(e.Line, "kernel %s is there already, in line %d: give it another name", e.Name, entries[other].Line)
		}
		entries = append(entries, e)
	}
	if r.Err != nil {
		return nil, r.Err
	}
	return entries, nil
}

// reader keeps the first thing that is wrong with a file.
type reader struct{ yamlfile.Reader }

// word is a text of one form that must be there. Line is where it would be.
func (r *reader) word(n *yaml.Node, line int, what string, want form, such string) string {
	s := r.Text(n, what)
	switch {
	case n.Kind == 0:
		r.Fail(line, "%s is missing: such as %s", what, such)
	case !want.MatchString(s):
		r.Fail(n.Line, "%s %.80q is none: want one such as %s", what, s, such)
	}
	return s
}

// path is made absolute from where the matrix file is.
func (r *reader) path(n *yaml.Node, what string) string {
	s := r.Text(n, what)
	if s == "" || filepath.IsAbs(s) {
		return s
	}
	s, err := filepath.Abs(filepath.Join(filepath.Dir(r.File), s))
	if err != nil {
		r.Fail(n.Line, "%s: %w", what, err)
	}
	return s
}

func (r *reader) mirrors(nodes []yaml.Node) []string {
	var list []string
	for i := range nodes {
		s := r.Text(&nodes[i], "a mirror")
		u, err := url.Parse(s)
		switch {
		case err != nil, !slices.Contains([]string{"http", "https", "file"}, u.Scheme), strings.ContainsAny(s, " \"[]#%"),
			u.Scheme == "file" != (u.Host == ""), !strings.HasPrefix(u.Path, "/") && u.Path != "":
			r.Fail(nodes[i].Line, "mirror %.120q is none: want a URL such as %s or file:/srv/debian", s, DefaultMirror)
		default:
			list = append(list, s)
		}
	}
	return list
}
