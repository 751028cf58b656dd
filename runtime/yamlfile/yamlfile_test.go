package yamlfile

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

func TestRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.yaml")
	if _, err := Read(file, "thing", 4); !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(), "read the thing: ") {
		t.Errorf("got %v", err)
	}
	for text, want := range map[string]string{"": "", "abcd": "", "abcde": file + ": more than 4 bytes are no thing"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := Read(file, "thing", 4)
		if want == "" && (err != nil || string(got) != text) || want != "" && (err == nil || err.Error() != want) {
			t.Errorf("%q: got %q, %v", text, got, err)
		}
	}
}

func TestDecode(t *testing.T) {
	type inner struct {
		B yaml.Node `yaml:"b"`
	}
	for _, c := range []struct{ text, want string }{
		{"a: 1\n", ""},
		{"c:\n  - b: [1]\n", ""},
		{"a: ~\nc:\n", ""},
		{"\n\na: [1]\n", "x.yaml:3: cannot unmarshal !!seq into string"},
		{"a: 1\nd: 2\n", "x.yaml:2: field d not found"},
		{"c:\n  - d: 2\n", "x.yaml:2: field d not found"},
		{"c: one\n", "x.yaml:1: cannot unmarshal !!str `one`"},
		{"a: 1\n---\na: 2\n", "x.yaml: it holds more than one document"},
		{"a: [1\n", "x.yaml:1: "},
		{"- a\n", "x.yaml:1: cannot unmarshal !!seq"},
		{"c:\n  - b: 1\n  -\n", "x.yaml:3: an item of a list is empty"},
		{"c:\n  - b: [1, ~]\n", "x.yaml:2: an item of a list is empty"},
	} {
		var v struct {
			A string  `yaml:"a"`
			C []inner `yaml:"c"`
		}
		err := Decode("x.yaml", []byte(c.text), &v)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want)) {
			t.Errorf("%q: got %v, want %s", c.text, err, c.want)
		}
		if err != nil && (strings.Contains(err.Error(), "yamlfile.") || strings.Contains(err.Error(), "struct")) {
			t.Errorf("%q: %v names a type of ours", c.text, err)
		}
	}
	for _, text := range []string{"", "# nothing\n"} {
		if err := Decode("x.yaml", []byte(text), &inner{}); !errors.Is(err, io.EOF) {
			t.Errorf("%q: got %v, want %v", text, err, io.EOF)
		}
	}
}

func TestReader(t *testing.T) {
	var v struct {
		A yaml.Node `yaml:"a"`
		B yaml.Node `yaml:"b"`
		C yaml.Node `yaml:"c"`
		D yaml.Node `yaml:"d"`
		E yaml.Node `yaml:"e"`
		F yaml.Node `yaml:"f"`
	}
	if err := Decode("x.yaml", []byte("a: one\nb: ''\nc: [1]\nd: \"two\\nlines\"\nf: a\ttab\n"), &v); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		node       *yaml.Node
		text, want string
	}{
		{&v.A, "one", ""},
		{&v.B, "", "x.yaml:2: b is empty, or is not one line of text"},
		{&v.C, "", "x.yaml:3: b is empty, or is not one line of text"},
		{&v.D, "", "x.yaml:4: b is empty, or is not one line of text"},
		{&v.E, "", ""},
		{&v.F, "a\ttab", ""},
	} {
		r := Reader{File: "x.yaml"}
		got := r.Text(c.node, "b")
		if got != c.text || c.want == "" && r.Err != nil || c.want != "" && (r.Err == nil || r.Err.Error() != c.want) {
			t.Errorf("got %q, %v, want %q, %s", got, r.Err, c.text, c.want)
		}
	}
	r := Reader{File: "x.yaml"}
	r.Fail(0, "the first: %w", fs.ErrExist)
	r.Fail(3, "the second")
	if !errors.Is(r.Err, fs.ErrExist) || !strings.HasPrefix(r.Err.Error(), "x.yaml: the first: ") {
		t.Errorf("got %v", r.Err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("a: 1\n"))
	f.Add([]byte("a: &x [*x]\n---\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var v struct {
			A []yaml.Node `yaml:"a"`
		}
		if err := Decode("x.yaml", text, &v); err != nil && !errors.Is(err, io.EOF) {
			if message := err.Error(); !strings.HasPrefix(message, "x.yaml:") || strings.Contains(message, "\n") {
				t.Errorf("got %q", message)
			}
		}
	})
}
