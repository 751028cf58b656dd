package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// readBundle reads config.json. Relative host paths in it are relative to the bundle.
func readBundle(dir string) (*specs.Spec, error) {
	raw, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("bundle %q: no config.json in it", dir)
	}
	if err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	var s specs.Spec
	if err := json.Unmarshal(raw, &s); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			line := 1 + strings.Count(string(raw[:syntax.Offset]), "\n")
			return nil, fmt.Errorf("bundle %q: config.json:%d: %w", dir, line, err)
		}
		var kind *json.UnmarshalTypeError
		if errors.As(err, &kind) {
			return nil, fmt.Errorf("bundle %q: config.json: %s is a %s, want a %v", dir, kind.Field, kind.Value, kind.Type)
		}
		return nil, fmt.Errorf("bundle %q: config.json: %w", dir, err)
	}
	if s.Process == nil || s.Root == nil || s.Linux == nil {
		return nil, fmt.Errorf("bundle %q: config.json needs process, root and linux", dir)
	}
	if s.Root.Path == "" {
		return nil, fmt.Errorf("bundle %q: config.json: root.path is empty: name the directory, such as rootfs", dir)
	}
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("bundle %q: %w", dir, err)
	}
	if !filepath.IsAbs(s.Root.Path) {
		s.Root.Path = filepath.Join(absolute, s.Root.Path)
	}
	if info, err := os.Stat(s.Root.Path); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("bundle %q: root %q is no directory", dir, s.Root.Path)
	}
	for i := range s.Mounts {
		m := &s.Mounts[i]
		bind := slices.ContainsFunc(m.Options, func(o string) bool { return o == "bind" || o == "rbind" })
		if bind && m.Source != "" && !filepath.IsAbs(m.Source) {
			m.Source = filepath.Join(absolute, m.Source)
		}
	}
	return &s, nil
}
