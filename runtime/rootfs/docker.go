package rootfs

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// dockerManifest is an element of manifest.json, which `docker save` writes.
type dockerManifest struct {
	Config   string
	RepoTags []string
	Layers   []string // plain tars; their digests are the config's diff_ids
}

// docker finds the image that ref names, or the only one. Nil: there is no manifest.json.
func (l layout) docker(ref string) (*source, error) {
	var list []dockerManifest
	err := l.json("manifest.json", &list)
	if errors.Is(err, unix.ENOENT) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if ref != "" {
		list = slices.DeleteFunc(list, func(m dockerManifest) bool { return !slices.Contains(m.RepoTags, ref) })
	}
	if len(list) != 1 {
		return nil, fmt.Errorf("holds %d images, choose one by its ref", len(list))
	}
	m := list[0]
	s := &source{}
	// The name of the config is its digest: <hex>.json, or blobs/sha256/<hex>.
	if s.digest, err = parseDigest("sha256:" + strings.TrimSuffix(path.Base(m.Config), ".json")); err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	f, err := l.checked(m.Config, s.digest)
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	defer f.Close() //nolint:errcheck // nothing was written
	if err := decode(f, &s.config); err != nil {
		return nil, err
	}
	for _, name := range m.Layers {
		s.layers = append(s.layers, func() (*os.File, error) { return l.file(name) })
	}
	return s, nil
}
