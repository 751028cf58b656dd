package code

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/cilium/ebpf/btf"

	"cellwall/runtime/kernel"
)

// fakes are types by name.
type fakes map[string]btf.Type

func (f fakes) TypeByName(name string, typ any) error {
	to := reflect.ValueOf(typ).Elem()
	if t := reflect.ValueOf(f[name]); t.IsValid() && t.Type() == to.Type() {
		to.Set(t)
		return nil
	}
	return btf.ErrNotFound
}

func fakeTypes() fakes {
	u8, u32 := &btf.Int{Name: "u8", Size: 1}, &btf.Int{Name: "u32", Size: 4}
	s32, s64 := &btf.Int{Name: "int", Size: 4, Encoding: btf.Signed}, &btf.Int{Name: "s64", Size: 8, Encoding: btf.Signed}
	char := &btf.Int{Name: "char", Size: 1, Encoding: btf.Char}
	inner := &btf.Struct{Name: "inner", Size: 16, Members: []btf.Member{
		{Name: "a", Type: s64, Offset: 0},
		{Name: "b", Type: &btf.Typedef{Name: "b_t", Type: &btf.Const{Type: s32}}, Offset: 64},
	}}
	outer := &btf.Struct{Name: "outer", Size: 128, Members: []btf.Member{
		{Name: "in", Type: inner, Offset: 64},
		{Name: "next", Type: &btf.Pointer{Target: inner}, Offset: 192},
		{Name: "", Type: &btf.Union{Size: 8, Members: []btf.Member{
			{Name: "", Type: &btf.Struct{Size: 8, Members: []btf.Member{{Name: "deep", Type: u32, Offset: 32}}}},
		}}, Offset: 256},
		{Name: "low", Type: u32, Offset: 320, BitfieldSize: 3},
		{Name: "high", Type: s32, Offset: 341, BitfieldSize: 5},
		{Name: "flag", Type: u8, Offset: 352, BitfieldSize: 1},
		{Name: "name", Type: &btf.Array{Type: char, Nelems: 16}, Offset: 384},
		{Name: "list", Type: &btf.Array{Type: &btf.Pointer{Target: inner}, Nelems: 4}, Offset: 512},
		{Name: "many", Type: &btf.Array{Type: inner, Nelems: 2}, Offset: 768},
	}}
	return fakes{
		"outer": outer, "inner": inner,
		"ids": &btf.Enum{Name: "ids", Size: 4, Values: []btf.EnumValue{{Name: "first", Value: 0}, {Name: "second", Value: 1}}},
	}
}

func TestField(t *testing.T) {
	l := NewLayout(fakeTypes())
	for path, want := range map[string]Field{
		"inner.a":         {Offset: 0, Size: 8, Signed: true},
		"outer.in.b":      {Offset: 16, Size: 4, Signed: true},
		"outer.next":      {Offset: 24, Size: 8},
		"outer.deep":      {Offset: 36, Size: 4},
		"outer.low":       {Offset: 40, Size: 1, Shift: 0, Bits: 3},
		"outer.high":      {Offset: 42, Size: 2, Shift: 5, Bits: 5, Signed: true}, // bits 341 to 345: no byte holds them
		"outer.flag":      {Offset: 44, Size: 1, Bits: 1},
		"outer.list[3]":   {Offset: 88, Size: 8},
		"outer.many[1].b": {Offset: 120, Size: 4, Signed: true},
	} {
		if got, err := l.Field(path); err != nil || got != want {
			t.Errorf("Field(%s) = %+v, %v, want %+v", path, got, err, want)
		}
	}
	if at, err := l.Offset("outer.name"); err != nil || at != 48 {
		t.Errorf("Offset(outer.name) = %d, %v", at, err)
	}
	if n, err := l.Value("ids", "second"); err != nil || n != 1 {
		t.Errorf("Value = %d, %v", n, err)
	}
}

// What this kernel lacks is not supported; what no kernel can have is another error.
func TestFieldThatIsNotThere(t *testing.T) {
	l := NewLayout(fakeTypes())
	for path, c := range map[string]struct {
		lacking bool
		says    string
	}{
		"other.a":        {true, "no struct other"},
		"outer.c":        {true, "no outer.c"},
		"outer.in.c":     {true, "no outer.in.c"},
		"outer.next.a":   {true, "no outer.next.a"}, // pointers are not followed
		"outer":          {false, "no member"},
		"outer..deep":    {false, "no member"},
		"outer.in":       {false, "neither a number nor a pointer"},
		"outer.name":     {false, "neither a number nor a pointer"},
		"outer.in[1]":    {false, "no array"},
		"outer.list[x]":  {false, "no element"},
		"outer.list[-1]": {false, "no element"},
		"outer.list[1":   {false, "no element"},
	} {
		_, err := l.Field(path)
		if err == nil || errors.Is(err, kernel.ErrNotSupported) != c.lacking || !strings.Contains(err.Error(), c.says) {
			t.Errorf("Field(%s): %v", path, err)
		}
	}
	if _, err := l.Value("ids", "third"); !errors.Is(err, kernel.ErrNotSupported) {
		t.Error(err)
	}
	if _, err := l.Value("others", "first"); !errors.Is(err, kernel.ErrNotSupported) {
		t.Error(err)
	}
}

func TestWhereAProgramCanBeAttached(t *testing.T) {
	l := NewLayout(fakes{"btf_trace_switch": &btf.Typedef{}, "fork": &btf.Func{}, "switch": &btf.Struct{}})
	for name, c := range map[string]struct {
		err  error
		says string // "" where it can be
	}{
		"tracepoint":    {l.Tracepoint("switch"), ""},
		"function":      {l.Function("fork"), ""},
		"no tracepoint": {l.Tracepoint("fork"), "no tracepoint fork"},
		"no function":   {l.Function("clone"), "no function clone"},
		"a struct":      {l.Function("switch"), "no function switch"},
	} {
		if c.says == "" && c.err != nil || c.says != "" && (!errors.Is(c.err, kernel.ErrNotSupported) || !strings.Contains(c.err.Error(), c.says)) {
			t.Errorf("%s: %v", name, c.err)
		}
	}
}

// twice has several types of every name.
type twice struct{}

func (twice) TypeByName(name string, _ any) error {
	return fmt.Errorf("type %s: %w", name, btf.ErrMultipleMatches)
}

// Which of several types is meant nobody can say; that there is none would be untrue.
func TestTypesOfTheSameName(t *testing.T) {
	l := NewLayout(twice{})
	_, field := l.Field("rq.cpu")
	_, value := l.Value("ids", "first")
	for what, err := range map[string]error{"struct rq": field, "enum ids": value, "tracepoint switch": l.Points("switch", 0, "rq")} {
		if !errors.Is(err, kernel.ErrNotSupported) || !errors.Is(err, btf.ErrMultipleMatches) || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// An argument of a tracepoint is what the kernel's types say, whatever its place was in another kernel.
func TestPoints(t *testing.T) {
	task := &btf.Pointer{Target: &btf.Struct{Name: "task_struct"}}
	number := &btf.Typedef{Name: "pid_t", Type: &btf.Int{Name: "int", Size: 4, Encoding: btf.Signed}}
	data := btf.FuncParam{Name: "__data", Type: &btf.Pointer{Target: &btf.Void{}}}
	tracepoint := func(args ...btf.Type) *btf.Typedef {
		f := &btf.FuncProto{Params: []btf.FuncParam{data}}
		for _, a := range args {
			f.Params = append(f.Params, btf.FuncParam{Type: a})
		}
		return &btf.Typedef{Type: &btf.Pointer{Target: f}}
	}
	l := NewLayout(fakes{
		"btf_trace_switch":   tracepoint(number, task, task, number),
		"btf_trace_switch50": tracepoint(number, number, task, task), // as sched_switch was in Linux 5.18.0
		"btf_trace_victim":   tracepoint(task, number),
		"btf_trace_victim61": tracepoint(number), // as mark_victim was before Linux 6.9
		"btf_trace_const":    tracepoint(&btf.Pointer{Target: &btf.Const{Type: task.Target}}),
		"btf_trace_none":     tracepoint(),
		"btf_trace_group":    tracepoint(&btf.Pointer{Target: &btf.Struct{Name: "cgroup"}}),
		"btf_trace_odd":      &btf.Typedef{Type: number},
	})
	for _, c := range []struct {
		point string
		i     int
		says  string // "" where it is a task
	}{
		{"switch", 1, ""}, {"switch", 2, ""}, {"victim", 0, ""}, {"const", 0, ""},
		{"switch50", 1, "argument 1 of this kernel's tracepoint switch50 is no struct task_struct"},
		{"victim61", 0, "argument 0 of this kernel's tracepoint victim61 is no"},
		{"none", 0, "is no struct"}, {"switch", 4, "is no struct"}, {"group", 0, "is no struct"}, {"odd", 0, "is no struct"},
		{"other", 0, "no tracepoint other"},
	} {
		err := l.Points(c.point, c.i, "task_struct")
		if c.says == "" && err != nil || c.says != "" && (!errors.Is(err, kernel.ErrNotSupported) || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("Points(%s, %d): %v", c.point, c.i, err)
		}
	}
}

func FuzzField(f *testing.F) {
	f.Add("outer.many[1].b")
	f.Add("outer.list[99999999999999999999]")
	l := NewLayout(fakeTypes())
	f.Fuzz(func(t *testing.T, path string) {
		if got, err := l.Field(path); err == nil && (got.Size < 1 || got.Size > 8 || got.Offset < 0) {
			t.Errorf("Field(%q) = %+v", path, got)
		}
	})
}
