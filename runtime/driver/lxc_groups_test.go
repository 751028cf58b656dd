package driver

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/cgroup"
	"cellwall/runtime/kernel"
)

func TestLXCDevices(t *testing.T) {
	n := func(n int64) *int64 { return &n }
	deny := specs.LinuxDeviceCgroup{Access: "rwm"}
	got, err := lxcDevices([]specs.LinuxDeviceCgroup{
		{Type: "a", Major: n(-1)}, {Allow: true, Type: "c", Major: n(136)}, {Allow: true, Type: "b", Minor: n(7), Access: "r"},
	})
	want := []cgroup.File{{Name: "devices.deny", Value: "a"}, {Name: "devices.allow", Value: "c 136:* rwm"}, {Name: "devices.allow", Value: "b *:7 r"}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	for want, rules := range map[string][]specs.LinuxDeviceCgroup{
		"that deny all first":      {{Access: "rw"}},
		"deny all first":           {{Type: "c", Access: "rwm"}},
		"all first":                {{Allow: true}, deny},
		"after the first":          {deny, {Type: "c"}},
		"character or block devic": {deny, {Allow: true, Type: "a"}},
	} {
		if _, err := lxcDevices(rules); !errors.Is(err, kernel.ErrNotSupported) || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q in it", rules, err, want)
		}
	}
}

func TestBelowInit(t *testing.T) {
	for _, c := range []struct{ text, below, want string }{
		{"0::/init.scope\n", "/cellwall-x/y", "cellwall-x/y"},
		{"1:cpu:/x\n0::/\n", "/cellwall-x/y", "cellwall-x/y"},
		{"0::/docker/a/init.scope", "/docker/a/b", "b"},
		{"0::/docker/a\n", "/docker/a/b", "b"},
		{"0::/docker/a\n", "/docker/ab", ""},
		{"0::/docker/a\n", "/docker/a", ""},
		{"0::/my-init.scope\n", "/my-init.scope/b", "b"},
		{"1:cpu:/\n", "/b", ""},
		{"", "/b", ""},
	} {
		if got, err := belowInit(c.text, c.below); got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s below %q is %q, %v, want %q", c.below, c.text, got, err, c.want)
		}
	}
}
