package sentinel

import (
	"slices"
	"testing"
)

func TestForeign(t *testing.T) {
	want := []string{"PATH=/bin"}
	for _, test := range []struct {
		block string
		want  []string
	}{
		{"PATH=/bin\x00", nil},
		{"PATH=/bin\x00HOME=/root\x00", nil},
		{"PATH=/bin\x00HOME=/nonce\x00TERM=xterm\x00", []string{"HOME"}},
		{"PATH=/bin\x00SECRET=x\x00", []string{"SECRET"}},
		{"PATH=/sbin\x00", []string{"PATH"}},
		{"PATH=/bin\x00odd\x00", []string{"odd"}},
	} {
		if got := foreign(test.block, want, "nonce"); !slices.Equal(got, test.want) {
			t.Errorf("foreign variables of %q are %q, want %q", test.block, got, test.want)
		}
	}
}

func TestKernelAddresses(t *testing.T) {
	for text, want := range map[string]int{
		"ffffffff81000000 T _stext\n":                        1,
		"0000000000000000 T _stext\n":                        0,
		"000000003f2a91bc: 00000002 00000000\n":              0, // hashed
		"mod 16384 0 - Live 0xffffffffc0a00000 (E)\n":        1,
		"ffffffff8100000 is too short":                       0,
		"abffffffff81000000 is too long":                     0,
		"ffff888100000000 A\nffff888100000040 B\n0000000000": 2,
	} {
		if got := kernelAddresses(text); got != want {
			t.Errorf("%d addresses in %q, want %d", got, text, want)
		}
	}
}
