package sentinel

import (
	"errors"
	"fmt"
	"testing"

	"cellwall/runtime/kernel"
)

func TestAnonymousOn(t *testing.T) {
	for _, c := range []struct {
		name, maps string
		want       bool
	}{
		{name: "bound and there", maps: "7f0 default file=/x N1=3\n7f1 bind:1 anon=256 dirty=256 N1=256 kernelpagesize_kB=4\n", want: true},
		{name: "there, as the program is", maps: "7f0 default file=/x mapped=3 N1=3 kernelpagesize_kB=4\n"},
		{name: "bound, but elsewhere", maps: "7f1 bind:1 anon=256 N0=256 kernelpagesize_kB=4\n"},
		{name: "node 1 is not node 11", maps: "7f1 bind:11 anon=1 N11=1 kernelpagesize_kB=4\n"},
		{name: "empty"},
	} {
		if got := anonymousOn(c.maps, "1"); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestOurNodes(t *testing.T) {
	for status, want := range map[string]string{
		"Name:\tx\nMems_allowed_list:\t0-1,4\n": "[0 1 4]",
		"Mems_allowed_list:\t3\n":               "",
		"Name:\tx\n":                            "", // a kernel without CONFIG_CPUSETS
	} {
		nodes, err := ourNodes(status)
		if want == "" && !errors.Is(err, kernel.ErrNotSupported) || want != "" && (err != nil || fmt.Sprint(nodes) != want) {
			t.Errorf("%q: %v, %v, want %s", status, nodes, err, want)
		}
	}
}
