package kernels

import (
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

func TestResolve(t *testing.T) {
	m, c, e := one(t)
	old := m.deb("linux-image-"+oldRelease, oldVersion)
	for _, x := range []struct {
		name     string
		packages []pkg
		want     []string // "NAME VERSION"
		fail     string
	}{
		{"the newest", []pkg{metaPackage(oldRelease, oldVersion), metaPackage(newRelease, newVersion), kernelPackage(oldRelease, oldVersion), kernelPackage(newRelease, newVersion)},
			[]string{"linux-image-" + newRelease + " " + newVersion}, ""},
		{"the newest by Debian's order", []pkg{metaPackage(oldRelease, "6.9-1"), metaPackage(newRelease, "6.10~rc1-1"), kernelPackage(oldRelease, "6.9-1"), kernelPackage(newRelease, "6.10~rc1-1")},
			[]string{"linux-image-" + newRelease + " 6.10~rc1-1"}, ""},
		{"no meta-package", []pkg{{name: "linux-image-cloud-amd64", version: "1"}}, []string{"linux-image-cloud-amd64 1"}, ""},
		{"split as since 6.17", []pkg{
			metaPackage("7.0-cloud-amd64", "7.0.1-1"),
			{name: "linux-image-7.0-cloud-amd64", version: "7.0.1-1", depends: "linux-base-7.0-cloud-amd64 (= 7.0.1-1), linux-binary-7.0-cloud-amd64 (= 7.0.1-1), linux-modules-7.0-cloud-amd64 (= 7.0.1-1) | linux-modules-7.0-cloud-amd64-unsigned, initramfs-tools | linux-initramfs-tool"},
			{name: "linux-base-7.0-cloud-amd64", version: "7.0.1-1"},
			{name: "linux-binary-7.0-cloud-amd64", version: "7.0.1-1", depends: "linux-base-7.0-cloud-amd64 (= 7.0.1-1)"},
			{name: "linux-modules-7.0-cloud-amd64", version: "7.0.1-1", depends: "linux-base-7.0-cloud-amd64"},
			{name: "linux-modules-7.0-cloud-amd64", version: "7.0.2-1"},
		}, []string{"linux-image-7.0-cloud-amd64 7.0.1-1", "linux-base-7.0-cloud-amd64 7.0.1-1", "linux-binary-7.0-cloud-amd64 7.0.1-1", "linux-modules-7.0-cloud-amd64 7.0.1-1"}, ""},
		{"the second choice", []pkg{{name: "linux-image-cloud-amd64", version: "2", depends: "linux-image-9-unsigned (= 2) | linux-image-9 (= 2)"}, {name: "linux-image-9", version: "2"}}, []string{"linux-image-9 2"}, ""},
		{"a piece is not there", []pkg{metaPackage(oldRelease, oldVersion), kernelPackage(oldRelease, "6.1.1-1")}, nil, "linux-image-cloud-amd64 6.1.176-1: it needs linux-image-6.1.0-50-cloud-amd64 6.1.176-1, which the index does not have: the mirror is being updated"},
		{"another flavour", []pkg{{name: "linux-image-amd64", version: "1"}, {name: "linux-image-amd64-dbg", version: "1"}, {name: "linux-image-rt-amd64", version: "1"}, kernelPackage(oldRelease, oldVersion)}, nil, "suite bookworm has no package linux-image-cloud-amd64: it has linux-image-amd64, linux-image-rt-amd64"},
		{"no end of pieces", chain(maxParts + 1), nil, "linux-image-cloud-amd64 1 is made of more than 16 packages"},
		{"few pieces in a ring", chain(3), []string{"linux-image-cloud-amd64 1", "linux-modules-1 1", "linux-modules-2 1"}, ""},
		{"no kernel", nil, nil, "suite bookworm has no package linux-image-cloud-amd64, nor any other kernel for amd64"},
	} {
		t.Run(x.name, func(t *testing.T) {
			m.publish(t, "bookworm", x.packages...)
			e.Pin = []Deb{old}
			got, err := c.Resolve(t.Context(), e, nil)
			if x.fail != "" {
				if err == nil || !strings.Contains(err.Error(), "matrix.yaml:7: kernel debian-bookworm: "+x.fail) || strings.Contains(err.Error(), "\n") {
					t.Errorf("got  %v\nwant %s", err, x.fail)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var want []Deb
			for _, s := range x.want {
				name, version, _ := strings.Cut(s, " ")
				want = append(want, m.deb(name, version))
			}
			if !reflect.DeepEqual(got.Pin, want) {
				t.Errorf("got  %v\nwant %v", got.Pin, want)
			}
		})
	}
}

func chain(n int) []pkg {
	all := []pkg{{name: "linux-image-cloud-amd64", version: "1", depends: "linux-modules-1"}}
	for i := 1; i < n; i++ {
		all = append(all, pkg{name: "linux-modules-" + strconv.Itoa(i), version: "1", depends: "linux-modules-" + strconv.Itoa(i%(n-1)+1)})
	}
	return all
}

func TestSplitKernel(t *testing.T) {
	m := newMirror(t)
	const r = "7.0-cloud-amd64"
	m.publish(t, "sid", metaPackage(r, "7.0.1-1"),
		pkg{name: "linux-image-" + r, version: "7.0.1-1", depends: "linux-binary-" + r + " (= 7.0.1-1), linux-modules-" + r + " (= 7.0.1-1)", compression: "gzip"},
		pkg{name: "linux-binary-" + r, version: "7.0.1-1", files: map[string]string{"usr/lib/modules/" + r + "/vmlinuz": bzImage(r), "boot/vmlinuz-" + r: "-> ../usr/lib/modules/" + r + "/vmlinuz"}, compression: "zstd"},
		pkg{name: "linux-modules-" + r, version: "7.0.1-1", files: map[string]string{"usr/lib/modules/" + r + "/kernel/virtio.ko.xz": "m", "usr/lib/modules/" + r + "/build": "-> /usr/src/linux-headers-" + r}},
	)
	c := &Cache{Dir: t.TempDir()}
	e, err := c.Resolve(t.Context(), m.entry("sid"), nil)
	if err != nil {
		t.Fatal(err)
	}
	k, err := c.Fetch(t.Context(), e, nil)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(k.Modules)
	if err != nil || k.Release != r || len(entries) != 1 || entries[0].Name() != "kernel" {
		t.Errorf("%+v, %v, %v", k, entries, err)
	}
	if text, err := os.ReadFile(k.Image); err != nil || string(text) != bzImage(r) {
		t.Errorf("the image is another: %v", err)
	}
}
