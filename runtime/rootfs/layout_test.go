package rootfs

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func sum(data []byte) string { return fmt.Sprintf("%x", sha256.Sum256(data)) }

func toJSON(t testing.TB, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

type doc = map[string]any

// fakeImage is a layout as path -> content, and the descriptor of its manifest.
type fakeImage struct {
	files    map[string][]byte
	manifest doc
}

func (f *fakeImage) blob(data []byte, mediaType string) doc {
	f.files["blobs/sha256/"+sum(data)] = data
	return doc{"mediaType": mediaType, "digest": "sha256:" + sum(data), "size": len(data)}
}

var wantConfig = Config{Entrypoint: []string{"/bin/sh", "-c"}, Cmd: []string{"id"}, Env: []string{"A=b"}, WorkingDir: "/w", User: "1:2"}

// ociImage makes an image of layers, which are tars; the second is compressed.
func ociImage(t testing.TB, layers ...[]byte) *fakeImage {
	t.Helper()
	f := &fakeImage{files: map[string][]byte{"oci-layout": []byte(`{"imageLayoutVersion":"1.0.0"}`)}}
	var diffs []string
	var list []doc
	for i, raw := range layers {
		diffs = append(diffs, "sha256:"+sum(raw))
		switch i % 3 {
		case 1:
			raw = gzipped(t, raw)
		case 2:
			raw = zstded(t, raw)
		}
		list = append(list, f.blob(raw, "application/vnd.oci.image.layer.v1.tar"))
	}
	config := f.blob(toJSON(t, doc{
		"architecture": runtime.GOARCH, "os": "linux", "rootfs": doc{"type": "layers", "diff_ids": diffs},
		"config": wantConfig,
	}), "application/vnd.oci.image.config.v1+json")
	f.manifest = f.blob(toJSON(t, doc{"schemaVersion": 2, "config": config, "layers": list}), "application/vnd.oci.image.manifest.v1+json")
	f.index(t, f.manifest)
	return f
}

func (f *fakeImage) index(t testing.TB, list ...doc) {
	f.files["index.json"] = toJSON(t, doc{"schemaVersion": 2, "manifests": list})
}

func with(d doc, key string, v any) doc {
	m := doc{key: v}
	for k, v := range d {
		if k != key {
			m[k] = v
		}
	}
	return m
}

func (f *fakeImage) directory(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range f.files {
		write(t, filepath.Join(dir, name), string(data), 0o644)
	}
	return dir
}

func (f *fakeImage) tar(t testing.TB) []byte {
	t.Helper()
	var entries []entry
	for name, data := range f.files {
		entries = append(entries, file(name, string(data)))
	}
	return makeTar(t, entries...)
}

func twoLayers(t testing.TB) *fakeImage {
	return ociImage(t,
		makeTar(t, dir("a"), file("a/old", "1"), file("a/gone", ""), dir("b"), file("b/old", ""), file("c", "c1"), dir("d"), file("d/x", ""), sym("v", "b")),
		// Whiteouts stand after what the same layer adds, which they must not hide.
		makeTar(t, file("a/new", "2"), file("b/new", ""), file("c", "c2"), file("d", "file"),
			file("a/.wh.gone", ""), file("a/.wh.never", ""), file("nowhere/.wh.x", ""), file("v/.wh..wh..opq", ""), file(".wh..wh.aufs", "")),
		makeTar(t, file("a/.wh.new", ""), file("a/new", "3")))
}

var wantTwoLayers = []string{
	"drwxr-xr-x a", `-rw-r--r-- a/new "3"`, `-rw-r--r-- a/old "1"`, "drwxr-xr-x b", `-rw-r--r-- b/new ""`,
	`-rw-r--r-- c "c2"`, `-rw-r--r-- d "file"`, "Lrwxrwxrwx v -> b",
}

func TestImages(t *testing.T) {
	docker := func(change func(m doc)) []byte {
		f := twoLayers(t)
		var m manifest
		if err := json.Unmarshal(f.files["blobs/sha256/"+strings.TrimPrefix(f.manifest["digest"].(string), "sha256:")], &m); err != nil {
			t.Fatal(err)
		}
		hex := strings.TrimPrefix(m.Config.Digest, "sha256:")
		entries := []entry{file(hex+".json", string(f.files["blobs/sha256/"+hex]))}
		var layers []string
		for i, l := range m.Layers {
			name := fmt.Sprintf("%d/layer.tar", i)
			layers = append(layers, name)
			// docker writes a layer that it has written before as a link.
			real := fmt.Sprintf("real/%d", i)
			entries = append(entries, file(real, string(f.files["blobs/sha256/"+strings.TrimPrefix(l.Digest, "sha256:")])), sym(name, "../"+real))
		}
		dm := doc{"Config": hex + ".json", "RepoTags": []string{"x:1"}, "Layers": layers}
		change(dm)
		return makeTar(t, append(entries, file("manifest.json", string(toJSON(t, []doc{dm}))))...)
	}
	nested := twoLayers(t)
	other := with(nested.manifest, "platform", doc{"os": "linux", "architecture": "other"})
	other["digest"] = "sha256:" + sum(nil)
	inner := nested.blob(toJSON(t, doc{"manifests": []doc{other, with(nested.manifest, "platform", doc{"os": "linux", "architecture": runtime.GOARCH})}}), "application/vnd.oci.image.index.v1+json")
	nested.index(t, inner)
	parent := t.TempDir()
	for name, path := range map[string]string{
		"directory":   twoLayers(t).directory(t),
		"tar":         write(t, filepath.Join(t.TempDir(), "i.tar"), string(twoLayers(t).tar(t)), 0o644),
		"gzipped tar": write(t, filepath.Join(t.TempDir(), "i.tgz"), string(gzipped(t, twoLayers(t).tar(t))), 0o644),
		"docker save": write(t, filepath.Join(t.TempDir(), "d.tar"), string(docker(func(doc) {})), 0o644),
		"index":       nested.directory(t),
	} {
		t.Run(name, func(t *testing.T) {
			image, err := Archive(parent, path, ArchiveOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer unchangedAfter(t, image)
			if got := snapshot(t, image.Path())[1:]; !slices.Equal(got, wantTwoLayers) {
				t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(wantTwoLayers, "\n  "))
			}
			if fmt.Sprintf("%q", *image.Config) != fmt.Sprintf("%q", wantConfig) || !strings.HasPrefix(image.Digest, "sha256:") {
				t.Errorf("config %q, digest %q", *image.Config, image.Digest)
			}
		})
	}
	if left := snapshot(t, parent); len(left) != 1 {
		t.Errorf("left behind: %q", left)
	}
	bad := write(t, filepath.Join(t.TempDir(), "d.tar"), string(docker(func(m doc) { m["Config"] = "../../etc/passwd" })), 0o644)
	if _, err := Archive(parent, bad, ArchiveOptions{}); err == nil || !strings.Contains(err.Error(), `config: digest "sha256:passwd"`) {
		t.Errorf("docker config outside: %v", err)
	}
	bad = write(t, filepath.Join(t.TempDir(), "d.tar"), string(docker(func(m doc) { m["Layers"] = []string{"0/layer.tar", "0/layer.tar", "0/layer.tar"} })), 0o644)
	if _, err := Archive(parent, bad, ArchiveOptions{}); err == nil || !strings.Contains(err.Error(), "layer 2 of 3: digest is") {
		t.Errorf("docker layers exchanged: %v", err)
	}
}

func unchangedAfter(t *testing.T, image *Image) {
	t.Helper()
	if err := image.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(image.Path()); !os.IsNotExist(err) {
		t.Errorf("%s is still there: %v", image.Path(), err)
	}
}

func TestDamagedLayouts(t *testing.T) {
	blobOf := func(_ *fakeImage, d doc) string { return "blobs/" + strings.ReplaceAll(d["digest"].(string), ":", "/") }
	for _, c := range []struct {
		name   string
		change func(f *fakeImage)
		ref    string
		want   string
	}{
		{"manifest forged", func(f *fakeImage) { f.files[blobOf(f, f.manifest)] = append(f.files[blobOf(f, f.manifest)], ' ') }, "", "manifest: digest is sha256:"},
		{"manifest gone", func(f *fakeImage) { delete(f.files, blobOf(f, f.manifest)) }, "", "manifest: open"},
		{"layer forged", func(f *fakeImage) {
			for name, data := range f.files {
				if strings.HasPrefix(string(data), "\x1f\x8b") {
					f.files[name] = gzipped(t, makeTar(t, file("evil", "")))
				}
			}
		}, "", "layer 2 of 3: digest is sha256:"},
		{"digest is a path", func(f *fakeImage) { f.index(t, with(f.manifest, "digest", "sha256:../../../etc/passwd")) }, "", `digest "sha256:../../../etc/passwd": want sha256:`},
		{"digest algorithm", func(f *fakeImage) { f.index(t, with(f.manifest, "digest", "md5:d41d8cd98f00b204e9800998ecf8427e")) }, "", "want sha256:"},
		{"two images", func(f *fakeImage) {
			f.index(t, f.manifest, with(f.manifest, "annotations", doc{"org.opencontainers.image.ref.name": "b"}))
		}, "", `holds 2 images, choose one by its ref: "", "b"`},
		{"no such ref", func(*fakeImage) {}, "c", `holds no image "c" for linux/`},
		{"other machine", func(f *fakeImage) {
			f.index(t, with(f.manifest, "platform", doc{"os": "linux", "architecture": "vax"}))
		}, "", "holds no image for linux/"},
		{"index of itself", func(f *fakeImage) {
			var d doc
			for range 7 {
				next := f.manifest
				if d != nil {
					next = d
				}
				d = f.blob(toJSON(t, doc{"manifests": []doc{next}}), "application/vnd.oci.image.index.v1+json")
			}
			f.index(t, d)
		}, "", "more than 4 deep"},
		{"no index", func(f *fakeImage) { delete(f.files, "index.json") }, "", `open "index.json": no such file`},
		{"index is not JSON", func(f *fakeImage) { f.files["index.json"] = []byte("{") }, "", `parse "index.json": `},
		{"huge index", func(f *fakeImage) { f.files["index.json"] = make([]byte, maxJSON+1) }, "", `"index.json": larger than 4194304 bytes`},
		{"not a layout", func(f *fakeImage) { delete(f.files, "oci-layout") }, "", "directory without oci-layout"},
		{"not an image", func(f *fakeImage) {
			config := f.blob([]byte("{}"), "x")
			f.index(t, f.blob(toJSON(t, doc{"config": config, "layers": []doc{config}}), "application/vnd.oci.image.manifest.v1+json"))
		}, "", "1 layers and 0 diff_ids: not a container image"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, parent := twoLayers(t), t.TempDir()
			c.change(f)
			path := f.directory(t)
			defer unchanged(t, parent)()
			defer unchanged(t, path)()
			_, err := Archive(parent, path, ArchiveOptions{Ref: c.ref})
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestLayoutLinksLeadNowhere(t *testing.T) {
	f := twoLayers(t)
	path := f.directory(t)
	blob := filepath.Join(path, "blobs", strings.ReplaceAll(f.manifest["digest"].(string), ":", "/"))
	outside := write(t, filepath.Join(t.TempDir(), "manifest"), string(f.files["blobs/sha256/"+filepath.Base(blob)]), 0o644)
	if err := os.Remove(blob); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, blob); err != nil {
		t.Fatal(err)
	}
	if _, err := Archive(t.TempDir(), path, ArchiveOptions{}); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("blob outside of the layout: %v", err)
	}
}

func FuzzImageDocuments(f *testing.F) {
	unprivileged(f)
	image := twoLayers(f)
	for name, data := range image.files {
		if strings.HasPrefix(name, "blobs/") && data[0] == '{' {
			f.Add(data, data)
		}
	}
	f.Fuzz(func(t *testing.T, manifestText, configText []byte) {
		files := &fakeImage{files: map[string][]byte{"oci-layout": nil}}
		files.blob(configText, "")
		files.index(t, files.blob(manifestText, ""))
		parent, path := t.TempDir(), files.directory(t)
		defer unchanged(t, parent)()
		image, err := Archive(parent, path, ArchiveOptions{Bytes: 1 << 16, Entries: 50})
		if err == nil {
			if err := image.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}
