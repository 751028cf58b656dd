package driver

import (
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"

	"cellwall/runtime/spec"
	"cellwall/runtime/yamlfile"
)

// templateFile is what the file of a template says, checked.
type templateFile struct {
	name    string
	version []string
	command []string
	rung    spec.Rung
	lacks   []string
	promise Promise
}

// The placeholders of a command. {cmd} is a whole argument and becomes the program with its own;
// the others are parts of arguments.
const commandPlaceholder = "{cmd}"

var placeholders = []string{"rootfs", "hostname", "workdir", "id", "memory", "pids", "cpus"}

// uses reports whether a placeholder is in the command.
func (f *templateFile) uses(name string) bool {
	return slices.ContainsFunc(f.command, func(a string) bool {
		_, used, err := expand(a, nil)
		return err == nil && slices.Contains(used, name)
	})
}

// expand puts values in the place of placeholders, and lists these. Doubled braces are braces.
func expand(text string, values map[string]string) (string, []string, error) {
	var out strings.Builder
	var used []string
	for i := 0; i < len(text); i++ {
		switch name, is := placeholder(text[i:]); {
		case strings.HasPrefix(text[i:], "{{"), strings.HasPrefix(text[i:], "}}"):
			out.WriteByte(text[i])
			i++
		case !is:
			out.WriteByte(text[i])
		case !slices.Contains(placeholders, name):
			return "", nil, fmt.Errorf("placeholder {%s} is unknown: it is one of {cmd}, {%s}; {{ is a brace", name, strings.Join(placeholders, "}, {"))
		default:
			out.WriteString(values[name])
			used = append(used, name)
			i += len(name) + 1
		}
	}
	return out.String(), used, nil
}

var aPlaceholder = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^\{([^{}\s]*)\}`) })

// placeholder is the name of the one that a text starts with. Whatever could be meant for one is: the
// command must not get a slip of the pen as it is.
func placeholder(text string) (name string, is bool) {
	m := aPlaceholder().FindStringSubmatch(text)
	if m == nil {
		return "", false
	}
	return m[1], true
}

// maxTemplate is far more than any command line needs, in bytes.
const maxTemplate = 64 << 10

func readTemplate(file string) (*templateFile, error) {
	raw, err := yamlfile.Read(file, "template", maxTemplate)
	if err != nil {
		return nil, err
	}
	return parseTemplate(file, raw)
}

// written is the file as it is written. Nodes know their lines.
type written struct {
	Name    yaml.Node   `yaml:"name"`
	Version []yaml.Node `yaml:"version"`
	Rung    yaml.Node   `yaml:"rung"`
	Command []yaml.Node `yaml:"command"`
	Lacks   []yaml.Node `yaml:"lacks"`
	Claims  []yaml.Node `yaml:"claims"`
	Except  []struct {
		Rows   yaml.Node `yaml:"rows"`
		Reason yaml.Node `yaml:"reason"`
	} `yaml:"except"`
}

// parseTemplate reads and checks a template. Errors are one line, with file and line.
func parseTemplate(file string, raw []byte) (*templateFile, error) {
	var w written
	if err := yamlfile.Decode(file, raw, &w); errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: it is empty", file)
	} else if err != nil {
		return nil, err
	}
	r := reader{yamlfile.Reader{File: file}}
	f := &templateFile{
		name: r.text(&w.Name, "name"), version: r.list(w.Version, "version"), command: r.list(w.Command, "command"),
		lacks: r.list(w.Lacks, "lacks"), rung: spec.Rung(r.text(&w.Rung, "rung")),
		promise: Promise{File: file},
	}
	for i := range w.Claims {
		f.promise.Claims = append(f.promise.Claims, r.rows(&w.Claims[i]))
	}
	for i := range w.Except {
		rows := r.rows(&w.Except[i].Rows)
		rows.Reason = r.text(&w.Except[i].Reason, "reason of an exception")
		f.promise.Except = append(f.promise.Except, rows)
	}
	r.check(f, &w)
	return f, r.Err
}

// reader keeps the first thing that is wrong with a file.
type reader struct{ yamlfile.Reader }

// text is a word that must be there.
func (r *reader) text(n *yaml.Node, what string) string {
	if n.Kind == 0 {
		r.Fail(n.Line, "%s is missing", what)
	}
	return r.Text(n, what)
}

func (r *reader) list(nodes []yaml.Node, what string) []string {
	var list []string
	for i := range nodes {
		list = append(list, r.text(&nodes[i], "a word of "+what))
	}
	return list
}

func (r *reader) rows(n *yaml.Node) Rows {
	rows := Rows{Glob: r.text(n, "a glob of rows"), Line: n.Line}
	if _, err := path.Match(rows.Glob, ""); err != nil {
		r.Fail(n.Line, "%q: %w", rows.Glob, err)
	}
	return rows
}

// check says what makes no sense together.
func (r *reader) check(f *templateFile, w *written) {
	if len(f.version) == 0 {
		r.Fail(0, "version is missing: the command that prints it, such as [bwrap, --version]")
	}
	if len(f.command) == 0 {
		r.Fail(0, "command is missing: the list of its arguments, with %s", commandPlaceholder)
	}
	if len(f.promise.Claims) == 0 {
		r.Fail(0, "claims is missing: globs of the rows that it holds, such as fs.*")
	}
	if rung, err := spec.ParseRung(string(f.rung)); err != nil {
		r.Fail(w.Rung.Line, "%w", err)
	} else if rung == spec.Bare {
		r.Fail(w.Rung.Line, "rung %s is no container: take chroot or one above it", rung)
	}
	for i, part := range f.lacks {
		if !slices.Contains(partNames(), part) {
			r.Fail(w.Lacks[i].Line, "lacks %q is unknown: it is one of %s", part, strings.Join(partNames(), ", "))
		}
	}
	programs := 0
	for i, a := range f.command {
		switch {
		case a == commandPlaceholder && i == 0:
			r.Fail(w.Command[i].Line, "the command begins with a program, not with %s", commandPlaceholder)
		case a == commandPlaceholder:
			programs++
			continue
		case strings.Contains(a, commandPlaceholder):
			r.Fail(w.Command[i].Line, "%s is an argument of its own, no part of %q", commandPlaceholder, a)
		}
		if _, used, err := expand(a, nil); err != nil {
			r.Fail(w.Command[i].Line, "%w", err)
		} else if i == 0 && len(used) > 0 {
			r.Fail(w.Command[i].Line, "the program %q must be the same always", a)
		}
	}
	if programs != 1 && len(f.command) > 0 {
		r.Fail(w.Command[0].Line, "the command has %s %d times, not once", commandPlaceholder, programs)
	}
}
