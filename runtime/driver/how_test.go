package driver

import (
	"slices"
	"strings"
	"testing"
)

// TestHow: each text is of a runtime that users name, and sections alone.
func TestHow(t *testing.T) {
	files, err := how.ReadDir("how")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d texts, %v", len(files), err)
	}
	for _, f := range files {
		name := strings.TrimSuffix(f.Name(), ".md")
		if !slices.Contains(Names(), name) {
			t.Errorf("%s: no runtime has that name", f.Name())
		}
		if text := How(name); !strings.HasPrefix(text, "## ") || strings.HasPrefix(text, "# ") || strings.Contains(text, "\n# ") {
			t.Errorf("%s does not begin with a section: %.40q", f.Name(), text)
		}
	}
	for _, name := range []string{"core", "", "..", "../how", "oci:/x"} {
		if text := How(name); text != "" {
			t.Errorf("%q: %.40q", name, text)
		}
	}
}
