package house

import (
	"bytes"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// module is the name under which our own packages are imported.
const module = "cellwall"

// mayImport is the import table: for each package, which of ours it may import. Tests may
// import more; a package that is not here fails.
var mayImport = map[string][]string{
	"runtime/cleanup":  {},
	"runtime/kernel":   {},
	"runtime/seccomp":  {},
	"runtime/yamlfile": {},
	"runtime/lease":    {"runtime/cleanup", "runtime/rootfs"},
	"runtime/spec":     {"runtime/seccomp"},
	"runtime/cgroup":   {"runtime/kernel", "runtime/cleanup"},
	"runtime/rootfs":   {"runtime/spec", "runtime/cleanup"},
	"runtime/core":     {"runtime/spec", "runtime/kernel", "runtime/cleanup", "runtime/cgroup", "runtime/seccomp"},
	"runtime/driver": {
		"runtime/spec", "runtime/kernel", "runtime/cleanup", "runtime/core", "runtime/cgroup", "runtime/rootfs", "runtime/seccomp",
		"runtime/yamlfile",
	},

	"runtime/place": {
		"runtime/spec", "runtime/kernel", "runtime/cleanup", "runtime/cgroup", "runtime/core", "runtime/driver", "runtime/lease",
		"runtime/rootfs",
	},

	"suites/attack":        {},
	"suites/rtnetlink":     {"suites/attack", "runtime/kernel"},
	"suites/sentinel/stub": {},
	"suites/sentinel": {
		"probes", "runtime/kernel", "runtime/cgroup", "runtime/cleanup", "runtime/rootfs", "runtime/seccomp", "runtime/spec", "suites/attack",
		"suites/rtnetlink", "suites/sentinel/stub",
	},
	"suites/attacker":         {"runtime/place", "suites/attack", "suites/sentinel/stub"},
	"suites/attacker/program": {"suites/attack", "suites/sentinel/stub"},
	"suites/guarantee":        {"runtime/spec", "runtime/kernel", "suites/attack", "suites/sentinel"},
	"suites/claim":            {"runtime/driver", "runtime/spec", "suites/guarantee"},
	"suites/judge": {
		"probes", "suites/claim", "suites/guarantee", "suites/sentinel", "suites/attack", "suites/attacker", "reports/record", "runtime/driver", "runtime/rootfs",
		"runtime/place", "runtime/spec", "runtime/kernel", "runtime/cgroup", "runtime/cleanup",
	},
	"suites/isolation": {"suites/judge", "suites/guarantee", "reports/record", "runtime/spec"},
	"suites/mutants":   {"runtime/driver", "runtime/cgroup", "runtime/spec"},

	"bench/load": {},
	"bench": {
		"bench/load", "reports/record", "runtime/place", "runtime/driver", "runtime/core", "runtime/cgroup", "runtime/rootfs", "runtime/spec",
		"runtime/kernel", "runtime/cleanup",
	},
	"bench/worker": {"bench", "runtime/driver", "runtime/spec", "runtime/kernel", "runtime/lease"},
	"bench/interfere": {
		"bench", "bench/load", "probes", "reports/record", "reports/stats", "runtime/driver", "runtime/cgroup", "runtime/spec", "runtime/kernel",
		"runtime/cleanup", "runtime/rootfs", "suites/rtnetlink",
	},
	"bench/runner": {"bench", "bench/worker", "reports/record", "reports/stats", "runtime/driver", "runtime/spec", "runtime/kernel", "runtime/cgroup"},

	"reports/record":  {},
	"reports/digest":  {"reports/record", "reports/stats"},
	"reports/history": {"reports/record", "reports/stats", "runtime/yamlfile"},
	"reports/render":  {"reports/record", "reports/digest", "reports/history", "reports/stats"},
	"reports/stats":   {},

	"probes/code": {"runtime/kernel"},
	"probes":      {"probes/code", "runtime/cleanup", "runtime/kernel"},

	"ci/command": {
		"runtime/cgroup", "runtime/cleanup", "runtime/core", "runtime/driver", "runtime/kernel", "runtime/lease", "runtime/rootfs", "runtime/spec",
		"probes", "suites/claim", "suites/guarantee", "suites/isolation", "suites/judge", "reports/record", "reports/render",
		"bench", "bench/worker", "bench/runner", "bench/interfere", "reports/digest", "reports/history",
		"ci/kernels", "ci/matrix", "ci/vm", "ci/vm/guest",
	},
	"ci/house":    {},
	"ci/kernels":  {"runtime/rootfs", "runtime/yamlfile"},
	"ci/matrix":   {"ci/kernels", "ci/vm", "reports/record", "runtime/kernel", "runtime/yamlfile"},
	"ci/tests":    {},
	"ci/testvm":   {"ci/kernels", "ci/vm", "runtime/rootfs"},
	"ci/vm/guest": {},
	"ci/vm":       {"ci/kernels", "ci/vm/guest", "runtime/cleanup"},
	".":           {"ci/command", "ci/vm/guest"},
}

// onlyIn says where a dependency may be used, by the start of its path.
var onlyIn = map[string][]string{
	"github.com/onsi/":         {"suites/isolation", "suites/mutants"},
	"github.com/cilium/ebpf":   {"runtime/cgroup", "probes"},
	"gonum.org/":               {"reports"},
	"github.com/aclements/":    {"reports/stats"},
	"github.com/HdrHistogram/": {"reports/stats"},
	"github.com/spf13/":        {"ci/command"},
	"github.com/charmbracelet": {"ci/command"},
	"github.com/moby/profile":  {"runtime/seccomp"},
	"github.com/klauspost/":    {"runtime/rootfs"},
}

// alone are packages that may use nothing but the standard library and x/sys.
var alone = []string{"suites/attack", "suites/sentinel/stub", "bench/load", "ci/vm/guest"}

func TestImports(t *testing.T) {
	root := filepath.Join("..", "..")
	seen := map[string]bool{}
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && d.Name() != ".." || d.Name() == "testdata") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		dir, err := filepath.Rel(root, filepath.Dir(file))
		if err != nil {
			return err
		}
		seen[dir] = true
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range f.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if why := refuse(filepath.ToSlash(dir), name); why != "" {
				t.Errorf("%s imports %s: %s", file, name, why)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(seen) < len(mayImport)/2 {
		t.Fatalf("only %d packages seen: the walk is wrong", len(seen))
	}
	for _, dir := range slices.Sorted(maps.Keys(seen)) {
		if _, ok := mayImport[filepath.ToSlash(dir)]; !ok {
			t.Errorf("package %s is not in the import table", dir)
		}
	}
}

// refuse says why a package may not import another, or nothing.
func refuse(dir, name string) string {
	if own, ok := strings.CutPrefix(name, module+"/"); ok {
		if !slices.Contains(mayImport[dir], own) {
			return "the table does not allow it"
		}
		return ""
	}
	external := strings.Contains(strings.SplitN(name, "/", 2)[0], ".")
	if external && slices.Contains(alone, dir) && !strings.HasPrefix(name, "golang.org/x/sys/") {
		return "it may use nothing but x/sys"
	}
	for prefix, dirs := range onlyIn {
		if strings.HasPrefix(name, prefix) && !slices.ContainsFunc(dirs, func(d string) bool { return dir == d || strings.HasPrefix(dir, d+"/") }) {
			return "only " + strings.Join(dirs, ", ") + " may"
		}
	}
	return ""
}

// TestRefuse shows that the table can say no.
func TestRefuse(t *testing.T) {
	for _, c := range []struct{ dir, name string }{
		{"suites/attack", "cellwall/runtime/spec"},
		{"suites/attack", "github.com/spf13/cobra"},
		{"reports/record", "cellwall/suites/judge"},
		{"runtime/core", "github.com/onsi/gomega"},
		{"runtime/core", "cellwall/suites/attack"},
		{"nowhere", "cellwall/runtime/spec"},
	} {
		if refuse(c.dir, c.name) == "" {
			t.Errorf("%s may import %s", c.dir, c.name)
		}
	}
	if why := refuse("runtime/core", "cellwall/runtime/spec"); why != "" {
		t.Error(why)
	}
}

// maxLines is where a file becomes one that people fear.
const maxLines = 300

func TestFilesAreShort(t *testing.T) {
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") && d.Name() != ".." {
			return fs.SkipDir
		}
		if path.Ext(file) != ".go" || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		n := bytes.Count(text, []byte("\n"))
		name, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		if n > maxLines {
			t.Errorf("%s has %d lines: split it", name, n)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
