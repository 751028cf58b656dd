package rootfs

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// maxJSON bounds a manifest, an index or a config, as registries do.
const maxJSON = 4 << 20

// The parts of the OCI image-spec's documents that matter here.
type (
	descriptor struct {
		MediaType   string
		Digest      string
		Size        int64
		Platform    *platform
		Annotations map[string]string
	}
	platform struct {
		Architecture string
		OS           string
	}
	index    struct{ Manifests []descriptor }
	manifest struct {
		Config descriptor
		Layers []descriptor
	}
	imageConfig struct {
		Config Config
		RootFS struct {
			DiffIDs []string `json:"diff_ids"`
		}
	}
)

// layout is an OCI image layout, or docker save's, unpacked.
type layout struct{ tree }

// source is an image of a layout, ready to be unpacked.
type source struct {
	config imageConfig
	digest digest
	layers []func() (*os.File, error) // each opens the blob of a layer, checked
}

func unpackLayout(dir string, l layout, o ArchiveOptions) (_ *Image, err error) {
	s, err := l.image(o.Ref)
	if err != nil {
		return nil, err
	}
	if len(s.layers) != len(s.config.RootFS.DiffIDs) {
		return nil, fmt.Errorf("%d layers and %d diff_ids: not a container image", len(s.layers), len(s.config.RootFS.DiffIDs))
	}
	r, t, err := newRoot(dir)
	if err != nil {
		return nil, err
	}
	defer r.undo.OnError(&err)
	x := newExtractor(t, o)
	for i, open := range s.layers {
		if err := x.openLayer(open, s.config.RootFS.DiffIDs[i]); err != nil {
			return nil, fmt.Errorf("layer %d of %d: %w", i+1, len(s.layers), err)
		}
	}
	return &Image{Root: r, Config: &s.config.Config, Digest: s.digest.String(), Skipped: x.skipped}, nil
}

func (x *extractor) openLayer(open func() (*os.File, error), diffID string) error {
	d, err := parseDigest(diffID)
	if err != nil {
		return err
	}
	f, err := open()
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // nothing was written
	return x.layer(f, d)
}

// image finds the image that ref names, or the only one.
func (l layout) image(ref string) (*source, error) {
	if f, err := l.file("oci-layout"); err != nil {
		if s, err := l.docker(ref); err != nil || s != nil {
			return s, err
		}
		return nil, errors.New("directory without oci-layout: if it is a root directory, use it as one")
	} else if err := f.Close(); err != nil {
		return nil, err
	}
	var top index
	if err := l.json("index.json", &top); err != nil {
		return nil, err
	}
	d, err := l.choose(top, ref, 0)
	if err != nil {
		return nil, err
	}
	var m manifest
	s := &source{}
	if s.digest, err = l.blobJSON(d, &m); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	if _, err := l.blobJSON(m.Config, &s.config); err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	for _, d := range m.Layers {
		s.layers = append(s.layers, func() (*os.File, error) {
			f, _, err := l.blob(d)
			return f, err
		})
	}
	return s, nil
}

// choose returns the manifest for this machine. An index may hold indexes, one a platform.
func (l layout) choose(in index, ref string, depth int) (descriptor, error) {
	const maxDepth = 4
	if depth > maxDepth {
		return descriptor{}, fmt.Errorf("an index of an index, more than %d deep", maxDepth)
	}
	var found []descriptor
	var names []string
	for _, d := range in.Manifests {
		name := d.Annotations["org.opencontainers.image.ref.name"]
		full := d.Annotations["io.containerd.image.name"]
		if depth == 0 && ref != "" && ref != name && ref != full {
			continue
		}
		p := d.Platform
		if p != nil && (p.OS != "" && p.OS != "linux" || p.Architecture != "" && p.Architecture != runtime.GOARCH) {
			continue
		}
		found, names = append(found, d), append(names, quote(name))
	}
	switch {
	case len(found) == 0 && ref != "":
		return descriptor{}, fmt.Errorf("holds no image %q for linux/%s", ref, runtime.GOARCH)
	case len(found) == 0:
		return descriptor{}, fmt.Errorf("holds no image for linux/%s", runtime.GOARCH)
	case len(found) > 1 && depth == 0:
		return descriptor{}, fmt.Errorf("holds %d images, choose one by its ref: %s", len(found), strings.Join(names[:min(len(names), 10)], ", "))
	}
	d := found[0]
	if !slices.Contains([]string{"application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"}, d.MediaType) {
		return d, nil
	}
	var next index
	if _, err := l.blobJSON(d, &next); err != nil {
		return descriptor{}, fmt.Errorf("index: %w", err)
	}
	return l.choose(next, "", depth+1)
}

// file opens a regular file, inside the layout.
func (l layout) file(name string) (*os.File, error) {
	fd, err := l.open(name, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", quote(name), err)
	}
	f := os.NewFile(uintptr(fd), name)
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s: not a regular file", quote(name))
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// blob opens a blob after it has been checked.
func (l layout) blob(d descriptor) (*os.File, digest, error) {
	want, err := parseDigest(d.Digest)
	if err != nil {
		return nil, digest{}, err
	}
	f, err := l.checked(want.path(), want)
	if err != nil {
		return nil, digest{}, err
	}
	return f, want, nil
}

func (l layout) checked(name string, want digest) (*os.File, error) {
	f, err := l.file(name)
	if err != nil {
		return nil, err
	}
	sum := want.hash()
	if _, err = io.Copy(sum, f); err == nil {
		if err = want.check(sum); err == nil {
			_, err = f.Seek(0, io.SeekStart)
		}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (l layout) blobJSON(d descriptor, v any) (digest, error) {
	f, sum, err := l.blob(d)
	if err != nil {
		return digest{}, err
	}
	defer f.Close() //nolint:errcheck // nothing was written
	return sum, decode(f, v)
}

func (l layout) json(name string, v any) error {
	f, err := l.file(name)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // nothing was written
	return decode(f, v)
}

func decode(f *os.File, v any) error {
	data, err := io.ReadAll(io.LimitReader(f, maxJSON+1))
	if err != nil {
		return err
	}
	if len(data) > maxJSON {
		return fmt.Errorf("%s: larger than %d bytes", quote(f.Name()), maxJSON)
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("parse %s: %w", quote(f.Name()), err)
	}
	return nil
}
