package driver

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
)

// whole is a template with all its parts, by their names, for tests that change one of them.
var whole = map[string]string{
	"name":    "name: mine\n",
	"version": "version: [mine, --version]\n",
	"command": "command:\n  - mine\n  - --root={rootfs}\n  - '{cmd}'\n",
	"rung":    "rung: limits\n",
	"lacks":   "lacks: [time-namespace]\n",
	"claims":  "claims: ['fs.*']\n",
	"except":  "except:\n  - rows: fs.noexec\n    reason: no flags\n",
}

func written1(part, text string) string {
	var b strings.Builder
	for _, name := range []string{"name", "version", "command", "rung", "lacks", "claims", "except"} {
		if name == part {
			b.WriteString(text)
		} else {
			b.WriteString(whole[name])
		}
	}
	return b.String()
}

func TestParseTemplate(t *testing.T) {
	f, err := parseTemplate("x.yaml", []byte(written1("", "")))
	if err != nil {
		t.Fatal(err)
	}
	if f.name != "mine" || f.rung != spec.Limits || !slices.Equal(f.command, []string{"mine", "--root={rootfs}", "{cmd}"}) || !slices.Equal(f.lacks, []string{"time-namespace"}) {
		t.Errorf("parsed: %+v", f)
	}
	if !slices.Equal(f.promise.Claims, []Rows{{Glob: "fs.*", Line: 9}}) || !slices.Equal(f.promise.Except, []Rows{{Glob: "fs.noexec", Reason: "no flags", Line: 11}}) {
		t.Errorf("promises: %+v", f.promise)
	}
	if !f.uses("rootfs") || f.uses("memory") {
		t.Error("the command uses {rootfs} and not {memory}")
	}
}

// TestParseTemplateRefuses says of every mistake where it is, in one line.
func TestParseTemplateRefuses(t *testing.T) {
	for _, c := range []struct{ part, text, want string }{
		{"name", "", "x.yaml: name is missing"},
		{"name", "name: [a]\n", "x.yaml:1: name is empty, or is not one line of text"},
		{"name", "name: mine\nnmae: b\n", "x.yaml:2: field nmae not found"},
		{"name", "name: mine\nname: b\n", "x.yaml:2: "},
		{"version", "", "x.yaml: version is missing"},
		{"version", "version: mine --version\n", "x.yaml:2: "},
		{"command", "", "x.yaml: command is missing"},
		{"command", "command: []\n", "x.yaml: command is missing"},
		{"command", "command:\n  - mine\n  - --root={rotfs}\n  - '{cmd}'\n", "x.yaml:5: placeholder {rotfs} is unknown"},
		{"command", "command:\n  - mine\n  - '{cmd}'\n  - 'a{Memory}'\n", "x.yaml:6: placeholder {Memory} is unknown: it is one of {cmd}, {rootfs}, "},
		{"command", "command: [mine, '{cmd}', '{mem-limit}b']\n", "x.yaml:3: placeholder {mem-limit} is unknown"},
		{"command", "command: [mine, '{mem0}', '{cmd}']\n", "x.yaml:3: placeholder {mem0} is unknown"},
		{"command", "command: [mine, 'f() {}', '{cmd}']\n", "x.yaml:3: placeholder {} is unknown"},
		{"command", "command: [mine, '${HOME}', '{cmd}']\n", "x.yaml:3: placeholder {HOME} is unknown"},
		{"command", "command: [mine, '{rootfs}']\n", "x.yaml:3: the command has {cmd} 0 times"},
		{"command", "command: [mine, '{cmd}', '{cmd}']\n", "x.yaml:3: the command has {cmd} 2 times"},
		{"command", "command: ['{cmd}']\n", "x.yaml:3: the command begins with a program"},
		{"command", "command: ['{id}', '{cmd}']\n", "x.yaml:3: the program \"{id}\" must be the same"},
		{"command", "command:\n  - mine\n  - 'exec {cmd}'\n", "x.yaml:5: {cmd} is an argument of its own"},
		{"command", "command: [mine, '', '{cmd}']\n", "x.yaml:3: a word of command is empty"},
		{"rung", "", "x.yaml: rung is missing"},
		{"rung", "rung: high\n", "x.yaml:7: rung \"high\" is none of"},
		{"rung", "rung: bare\n", "x.yaml:7: rung bare is no container"},
		{"lacks", "lacks: [time-namespace, swap]\n", "x.yaml:8: lacks \"swap\" is unknown: it is one of time-namespace"},
		{"claims", "", "x.yaml: claims is missing"},
		{"claims", "claims: ['fs.[']\n", "x.yaml:9: \"fs.[\": syntax error in pattern"},
		{"except", "except:\n  - rows: fs.noexec\n", "x.yaml: reason of an exception is missing"},
		{"except", "except:\n  - reason: none\n", "x.yaml: a glob of rows is missing"},
		{"except", "except:\n  - rows: fs.noexec\n    why: none\n", "x.yaml:12: field why not found"},
		{"except", "except: *none\n", "x.yaml:"},
		{"except", "except: []\n---\nname: b\n", "x.yaml: it holds more than one document"},
	} {
		f, err := parseTemplate("x.yaml", []byte(written1(c.part, c.text)))
		if err == nil {
			t.Errorf("%s %q is a template: %+v", c.part, c.text, f)
		} else if !strings.HasPrefix(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s %q: %q, want %q", c.part, c.text, err, c.want)
		}
	}
	for text, want := range map[string]string{"": "x.yaml: it is empty", "# nothing\n": "x.yaml: it is empty", "a\n": "x.yaml:1: ", "'": "x.yaml:"} {
		if _, err := parseTemplate("x.yaml", []byte(text)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestReadTemplate(t *testing.T) {
	file := filepath.Join(t.TempDir(), "large.yaml")
	if err := os.WriteFile(file, []byte(strings.Repeat("#\n", maxTemplate)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readTemplate(file); err == nil || !strings.Contains(err.Error(), "no template") {
		t.Errorf("a file that is too large: %v", err)
	}
	if _, err := readTemplate(file + "-none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
}

func TestExpand(t *testing.T) {
	values := map[string]string{"rootfs": "/r {id}", "memory": "5"}
	for text, want := range map[string]string{
		"":                         "",
		"plain":                    "plain",
		"{rootfs}":                 "/r {id}",
		"a{memory}b{memory}":       "a5b5",
		"{{memory}}":               "{memory}",
		"${{HOME}} { x; } }":       "${HOME} { x; } }",
		"{":                        "{",
		"{ Memory}{mem limit}{mem": "{ Memory}{mem limit}{mem",
		"{{Memory}} {{}}":          "{Memory} {}",
		"{pids}":                   "",
	} {
		if got, _, err := expand(text, values); err != nil || got != want {
			t.Errorf("expand %q: %q, %v, want %q", text, got, err, want)
		}
	}
}

// FuzzExpand doubles the braces of any text, which comes back as it was.
func FuzzExpand(f *testing.F) {
	for _, text := range []string{"{rootfs}", "a{b}c", "{{", "}{", "{ }"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		doubled := strings.NewReplacer("{", "{{", "}", "}}").Replace(text)
		if got, used, err := expand(doubled, nil); err != nil || got != text || len(used) > 0 {
			t.Errorf("%q became %q with %q, %v", doubled, got, used, err)
		}
		if got, used, err := expand(text, nil); err == nil && len(used) == 0 && !strings.ContainsAny(text, "{}") && got != text {
			t.Errorf("%q became %q", text, got)
		}
	})
}

func FuzzTemplate(f *testing.F) {
	f.Add([]byte(written1("", "")))
	f.Add([]byte(written1("command", "command: [mine, '{x}', '{{', \"{cmd}\"]\n")))
	for _, file := range []string{"../../docs/examples/bwrap.yaml", "../../docs/examples/unshare.yaml"} {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		parsed, err := parseTemplate("x.yaml", raw)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "x.yaml:") || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %q", err)
			}
			return
		}
		tmpl := &template{templateFile: *parsed}
		l, err := tmpl.command(Bundle{ID: "i", Spec: &specs.Spec{Root: &specs.Root{Path: "/r"}, Process: &specs.Process{Args: []string{"/p", "a"}}, Linux: &specs.Linux{}}}, nil)
		if err != nil || len(l.argv) != len(parsed.command)+1 || !slices.Contains(l.argv, "/p") {
			t.Errorf("command %q of %q, %v", l.argv, parsed.command, err)
		}
	})
}

// limited is a template that is told limits.
func limited(t *testing.T) *template {
	t.Helper()
	f, err := parseTemplate("x.yaml", []byte(written1("command", "command: [mine, 'm={memory}', 'p={pids}', 'c={cpus}', '{hostname}', '{workdir}', '{id}', '{cmd}']\n")))
	if err != nil {
		t.Fatal(err)
	}
	return &template{templateFile: *f, path: "/bin/mine", held: []string{"CAP_KILL"}}
}

func TestTemplateTakesWhatItsPlaceholdersSay(t *testing.T) {
	tmpl := limited(t)
	s, _ := tmpl.Lacks().Apply(spec.New(spec.Limits, spec.Options{Rootfs: "/r", Args: []string{"/p", "a b"}, Capabilities: []string{"CAP_KILL"}}))
	memory, pids, quota := int64(1000), int64(7), int64(50_000)
	s.Linux.Resources.Memory = &specs.LinuxMemory{Limit: &memory, Swap: &memory}
	s.Linux.Resources.Pids.Limit, s.Linux.Resources.CPU.Quota = &pids, &quota
	s.Hostname, s.Process.Cwd = "box", "/tmp/"
	if err := tmpl.expresses(Bundle{Spec: s}); err != nil {
		t.Fatal(err)
	}
	l, err := tmpl.command(Bundle{ID: "../x", Spec: s}, nil)
	if want := []string{"/bin/mine", "m=1000", "p=7", "c=0.5", "box", "/tmp", "../x", "/p", "a b"}; err != nil || !slices.Equal(l.argv, want) {
		t.Errorf("command %q, %v, want %q", l.argv, err, want)
	}
	for name, edit := range map[string]func(*specs.Spec){
		"{memory}":            func(s *specs.Spec) { s.Linux.Resources.Memory = nil },
		"{memory} of more":    func(s *specs.Spec) { n := memory + 1; s.Linux.Resources.Memory.Swap = &n },
		"{pids}":              func(s *specs.Spec) { s.Linux.Resources.Pids = nil },
		"{cpus}":              func(s *specs.Spec) { s.Linux.Resources.CPU.Quota = nil },
		"linux.resources.cpu": func(s *specs.Spec) { n := uint64(3); s.Linux.Resources.CPU.Shares = &n },
	} {
		edited := spec.Clone(s)
		edit(edited)
		want, _, _ := strings.Cut(name, " of")
		if err := tmpl.expresses(Bundle{Spec: edited}); !errors.Is(err, kernel.ErrNotSupported) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
