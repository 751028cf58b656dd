package rootfs

import (
	"slices"
	"testing"
)

func TestHostileWhiteouts(t *testing.T) {
	// An absolute link must lead inside; on the host nothing has that name. Never aim at "/":
	// an opaque whiteout removes all that it finds.
	base := makeTar(t, dir("cellwall-inside"), file("cellwall-inside/a", ""), dir("d"), sym("d/l", "../../../victims"),
		sym("l", "/cellwall-inside"), sym("o", "../../victims"))
	all := []string{
		"drwxr-xr-x cellwall-inside", `-rw-r--r-- cellwall-inside/a ""`, "drwxr-xr-x d", "Lrwxrwxrwx d/l -> ../../../victims",
		"Lrwxrwxrwx l -> /cellwall-inside", "Lrwxrwxrwx o -> ../../victims",
	}
	for _, c := range []struct {
		name  string
		entry entry
		fail  string
		want  []string
	}{
		{"of no name", file(".wh.", ""), "whiteout of no name", nil},
		{"of dotdot", file("d/.wh...", ""), "whiteout of no name", nil},
		{"through a link out", file("o/.wh.secret", ""), "", all},
		{"opaque through a link out", file("o/.wh..wh..opq", ""), "", all},
		{"opaque through a deeper link out", file("d/l/.wh..wh..opq", ""), "", all},
		{"of a link", file("d/.wh.l", ""), "", slices.Delete(slices.Clone(all), 3, 4)},
		{"opaque through an absolute link", file("l/.wh..wh..opq", ""), "", slices.Delete(slices.Clone(all), 1, 2)},
	} {
		t.Run(c.name, func(t *testing.T) {
			checkHostile(t, ociImage(t, base, makeTar(t, c.entry)).tar(t), c.fail, c.want, "")
		})
	}
}
