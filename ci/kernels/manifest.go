package kernels

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
)

// manifest says what a kernel's directory holds. It is written last.
type manifest struct {
	Schema  string `json:"schema"`
	Arch    string `json:"arch"`
	Release string `json:"release"`
	Image   string `json:"image_sha256"`
	Modules size   `json:"modules"`
	Debs    []Deb  `json:"debs"`
}

// size counts what is below a directory. A checksum of some thousand modules at every use would cost
// more than it tells: the guest's kernel refuses a module that is cut short.
type size struct {
	Files int   `json:"files"`
	Bytes int64 `json:"bytes"`
}

const (
	manifestName   = "kernel.json"
	manifestSchema = "cellwall-kernel/1"
)

// writeManifest finds out what has been unpacked.
func writeManifest(dir string, e Entry) error {
	images, err := filepath.Glob(filepath.Join(dir, imagePath("*")))
	if err != nil {
		return err
	}
	if len(images) != 1 {
		return fmt.Errorf("%s hold %d kernels, not one: pin an image package, and the one of its modules", describe(e.Pin), len(images))
	}
	m := manifest{Schema: manifestSchema, Arch: e.Arch, Release: strings.TrimPrefix(filepath.Base(images[0]), image), Debs: e.Pin}
	f, err := os.Open(images[0])
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // read-only
	arch, release, err := inspect(f)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", filepath.Base(images[0]), err)
	case arch != e.Arch:
		return fmt.Errorf("%s is for %s, and the entry says %s", filepath.Base(images[0]), arch, e.Arch)
	case release != "" && release != m.Release:
		return fmt.Errorf("%s says that it is %s", filepath.Base(images[0]), release)
	}
	others, err := filepath.Glob(filepath.Join(dir, modulesPath("*")))
	if err != nil {
		return err
	}
	for _, path := range others {
		if filepath.Base(path) != m.Release {
			return fmt.Errorf("%s hold kernel %s and modules of %s: pin packages of one kernel", describe(e.Pin), m.Release, filepath.Base(path))
		}
	}
	if m.Image, err = sumFile(images[0]); err != nil {
		return err
	}
	if m.Modules, err = measure(filepath.Join(dir, modulesPath(m.Release))); err != nil {
		return err
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, manifestName), append(text, '\n'), 0o644)
}

func describe(debs []Deb) string {
	var names []string
	for _, d := range debs {
		names = append(names, d.String())
	}
	return strings.Join(names, ", ")
}

// measure counts files; a directory that is not there has none.
func measure(dir string) (size, error) {
	var s size
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			if path == dir && errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		}
		if d.IsDir() {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		s.Files++
		s.Bytes += info.Size()
		return nil
	})
	return s, err
}

func readManifest(dir string) (*manifest, error) {
	text, err := os.ReadFile(filepath.Join(dir, manifestName))
	if err != nil {
		return nil, err
	}
	m := &manifest{}
	if err := json.Unmarshal(text, m); err != nil {
		return nil, fmt.Errorf("%s: %w", manifestName, err)
	}
	if m.Schema != manifestSchema || !aRelease.MatchString(m.Release) {
		return nil, fmt.Errorf("%s is not ours", manifestName)
	}
	return m, nil
}

// check compares what is there with what was there at first.
func (m *manifest) check(dir string, e Entry) error {
	if m.Arch != e.Arch || !reflect.DeepEqual(m.Debs, e.Pin) {
		return fmt.Errorf("%s is that of another kernel", manifestName)
	}
	sum, err := sumFile(filepath.Join(dir, imagePath(m.Release)))
	if err != nil {
		return err
	}
	if sum != m.Image {
		return fmt.Errorf("%s has the checksum %s, not %s", imagePath(m.Release), sum, m.Image)
	}
	s, err := measure(filepath.Join(dir, modulesPath(m.Release)))
	if err == nil && s != m.Modules {
		err = fmt.Errorf("%d module files with %d bytes are there, not %d with %d", s.Files, s.Bytes, m.Modules.Files, m.Modules.Bytes)
	}
	return err
}

func (m *manifest) kernel(dir string, e Entry) Kernel {
	k := Kernel{Name: e.Name, Release: m.Release, Arch: m.Arch, Image: filepath.Join(dir, imagePath(m.Release))}
	if m.Modules.Files > 0 {
		k.Modules = filepath.Join(dir, modulesPath(m.Release))
	}
	return k
}
