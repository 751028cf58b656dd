package driver

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os/exec"
	"path"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/cleanup"
	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
)

// template is a tool that we know only by its command line, out of a file. The line makes one kind of
// container: that of a rung of the ladder without what the file says it lacks.
type template struct {
	templateFile
	path string   // of the program
	held []string // capabilities of ours
}

// ExecPrefix starts the name of a runtime that is the file of a command line.
const ExecPrefix = "exec:"

func newTemplate(ctx context.Context, name, file string) (Runtime, error) {
	f, err := readTemplate(file)
	if err != nil {
		return nil, err
	}
	t := &template{templateFile: *f}
	if t.path, err = exec.LookPath(f.command[0]); err != nil {
		return nil, fmt.Errorf("runtime %s: %w: %w", name, ErrAbsent, err)
	}
	v, err := versionOf(ctx, f.version[0], f.version[1:]...)
	if err != nil {
		return nil, err
	}
	if t.held, err = kernel.HeldCapabilities(); err != nil {
		return nil, err
	}
	return &tool{name: name, version: v, recipe: t}, nil
}

// Promise is what the file of a template says of the rows of the catalogue.
type Promise struct {
	File           string
	Claims, Except []Rows
}

// Rows are a glob of ids, of path.Match, and where the file has it.
type Rows struct {
	Glob   string
	Reason string // of an exception
	Line   int
}

// PromiseOf returns what the file of a runtime promises; nil for those that have none.
func PromiseOf(rt Runtime) *Promise {
	if t, ok := rt.(*tool); ok {
		if f, ok := t.recipe.(*template); ok {
			return &f.promise
		}
	}
	return nil
}

func (t *template) Floor() spec.Rung  { return t.rung }
func (t *template) Lacks() spec.Edits { return without(t.lacks...) }

// expresses compares what is asked for with what the line makes: nothing but a placeholder can change
// that.
func (t *template) expresses(b Bundle) error {
	got := spec.Clone(b.Spec)
	o := spec.Options{Rootfs: got.Root.Path, Args: got.Process.Args, Capabilities: t.held}
	if m := got.Linux.UIDMappings; len(m) > 0 {
		o.HostID, o.IDCount = m[0].HostID, m[0].Size
	}
	want, _ := t.Lacks().Apply(spec.New(t.rung, o))
	// What the line does not unshare it shares with its launcher, wherever that is.
	got.Linux.Namespaces = slices.DeleteFunc(got.Linux.Namespaces, func(n specs.LinuxNamespace) bool {
		return n.Path != "" && !spec.HasNamespace(want, n.Type)
	})
	for _, s := range []*specs.Spec{want, got} {
		limits, err := limitsOf(s.Linux.Resources)
		if err != nil {
			return err
		}
		if len(limits) == 0 {
			s.Linux.Resources = nil
		}
	}
	if err := t.fill(want, got); err != nil {
		return err
	}
	where, err := differs(want, got)
	if err != nil {
		return err
	}
	if where != "" {
		return kernel.Unsupported("%s makes one kind of container, of rung %s, with no way to change %s", t.name, t.rung, where)
	}
	return nil
}

// fill takes over into the one spec what the other has in the place of the line's placeholders.
func (t *template) fill(want, got *specs.Spec) error {
	if t.uses("hostname") {
		want.Hostname = got.Hostname
	}
	if t.uses("workdir") {
		want.Process.Cwd = got.Process.Cwd
	}
	for _, limit := range limitPlaceholders {
		if !t.uses(limit.name) {
			continue
		}
		if _, ok := limit.value(got.Linux.Resources); !ok {
			return kernel.Unsupported("%s limits {%s} always", t.name, limit.name)
		}
		if want.Linux.Resources == nil {
			want.Linux.Resources = &specs.LinuxResources{}
		}
		limit.copy(want.Linux.Resources, got.Linux.Resources)
	}
	return nil
}

// limitPlaceholders are what a line can be told of linux.resources. Swap beyond the limit of memory is
// the line's own affair: it has none.
var limitPlaceholders = []struct {
	name  string
	value func(*specs.LinuxResources) (string, bool)
	copy  func(to, from *specs.LinuxResources)
}{
	{"memory", func(r *specs.LinuxResources) (string, bool) {
		if r == nil || r.Memory == nil || r.Memory.Limit == nil || *r.Memory.Limit <= 0 || r.Memory.Swap != nil && *r.Memory.Swap != *r.Memory.Limit {
			return "", false
		}
		return strconv.FormatInt(*r.Memory.Limit, 10), true
	}, func(to, from *specs.LinuxResources) { to.Memory = from.Memory }},
	{"pids", func(r *specs.LinuxResources) (string, bool) {
		if r == nil || r.Pids == nil || r.Pids.Limit == nil || *r.Pids.Limit <= 0 {
			return "", false
		}
		return strconv.FormatInt(*r.Pids.Limit, 10), true
	}, func(to, from *specs.LinuxResources) { to.Pids = from.Pids }},
	{"cpus", func(r *specs.LinuxResources) (string, bool) {
		if r == nil || r.CPU == nil || r.CPU.Quota == nil || r.CPU.Period == nil || *r.CPU.Quota <= 0 || *r.CPU.Period == 0 {
			return "", false
		}
		return strconv.FormatFloat(float64(*r.CPU.Quota)/float64(*r.CPU.Period), 'f', -1, 64), true
	}, func(to, from *specs.LinuxResources) {
		c := specs.LinuxCPU{}
		if to.CPU != nil {
			c = *to.CPU
		}
		c.Quota, c.Period = from.CPU.Quota, from.CPU.Period
		to.CPU = &c
	}},
}

// differs is the first place in which two specs are not the same: "linux.resources.memory".
func differs(a, b *specs.Spec) (string, error) {
	var trees [2]any
	for i, s := range []*specs.Spec{a, b} {
		raw, err := json.Marshal(s)
		if err == nil {
			err = json.Unmarshal(raw, &trees[i])
		}
		if err != nil {
			return "", fmt.Errorf("compare specs: %w", err)
		}
	}
	return strings.TrimPrefix(different("", trees[0], trees[1]), "."), nil
}

// different is the place in a JSON value, from at on, in which another differs first; empty is nowhere.
func different(at string, a, b any) string {
	one, isOne := a.(map[string]any)
	two, isTwo := b.(map[string]any)
	if !isOne || !isTwo {
		if !reflect.DeepEqual(a, b) {
			return at
		}
		return ""
	}
	keys := slices.Collect(maps.Keys(one))
	keys = slices.AppendSeq(keys, maps.Keys(two))
	slices.Sort(keys)
	for _, k := range slices.Compact(keys) {
		if found := different(at+"."+k, one[k], two[k]); found != "" {
			return found
		}
	}
	return ""
}

func (t *template) command(b Bundle, _ *cleanup.Stack) (launch, error) {
	values := map[string]string{
		"rootfs": b.Spec.Root.Path, "hostname": b.Spec.Hostname, "workdir": path.Clean(b.Spec.Process.Cwd), "id": b.ID,
	}
	for _, limit := range limitPlaceholders {
		values[limit.name], _ = limit.value(b.Spec.Linux.Resources)
	}
	argv := []string{t.path}
	for _, a := range t.templateFile.command[1:] {
		if a == commandPlaceholder {
			argv = append(argv, b.Spec.Process.Args...)
			continue
		}
		word, _, err := expand(a, values)
		if err != nil {
			return launch{}, err
		}
		argv = append(argv, word)
	}
	return launch{argv: argv}, nil
}
