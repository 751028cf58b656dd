// Package yamlfile reads YAML files that people write. What a file says wrong is one line that names the
// file and, where there is one, the line.
package yamlfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Read reads a file of at most so many bytes. An error says that it is no such thing, as "template".
func Read(file, thing string, most int64) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("read the %s: %w", thing, err)
	}
	defer f.Close() //nolint:errcheck // read-only
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, fmt.Errorf("read the %s: %w", thing, err)
	}
	if int64(len(text)) > most {
		return nil, fmt.Errorf("%s: more than %d bytes are no %s", file, most, thing)
	}
	return text, nil
}

// Decode takes the one document of a file apart. Keys that v does not have are refused. The error of a file
// without a document is io.EOF.
func Decode(file string, text []byte, v any) error {
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	err := d.Decode(v)
	switch {
	case errors.Is(err, io.EOF):
		return io.EOF
	case err != nil:
		return firstOf(file, err)
	case !errors.Is(d.Decode(new(yaml.Node)), io.EOF):
		return fmt.Errorf("%s: it holds more than one document", file)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return firstOf(file, err)
	}
	if line := emptyItem(&doc); line > 0 {
		return fmt.Errorf("%s:%d: an item of a list is empty", file, line)
	}
	return nil
}

// emptyItem is the line of an item that has nothing in it, or 0. A list of structs is decoded without it, as if it
// were not there.
func emptyItem(n *yaml.Node) int {
	for _, c := range n.Content {
		if n.Kind == yaml.SequenceNode && c.Tag == "!!null" {
			return c.Line
		}
		if line := emptyItem(c); line > 0 {
			return line
		}
	}
	return 0
}

// firstOf is the first of the YAML's errors. The names of our types say nothing to who wrote the file.
func firstOf(file string, err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	var many *yaml.TypeError
	if errors.As(err, &many) && len(many.Errors) > 0 {
		text = many.Errors[0]
	}
	text = strings.ReplaceAll(text, "\n", " ")
	text = regexp.MustCompile(` (in type .*|into (\S*\w\.\w|\S*struct \{).*)`).ReplaceAllString(text, "")
	if m := regexp.MustCompile(`line (\d+): (.*)`).FindStringSubmatch(text); m != nil {
		file, text = file+":"+m[1], m[2]
	}
	return fmt.Errorf("%s: %s", file, text)
}

// Reader keeps the first thing that is wrong with what a file says.
type Reader struct {
	File string
	Err  error
}

// Fail notes what is wrong in a line, or in the file where that is 0.
func (r *Reader) Fail(line int, format string, args ...any) {
	if r.Err != nil {
		return
	}
	where := r.File
	if line > 0 {
		where = fmt.Sprintf("%s:%d", r.File, line)
	}
	r.Err = fmt.Errorf("%s: %w", where, fmt.Errorf(format, args...))
}

// Text is one line of text, tabs included, or nothing where the key is not there.
func (r *Reader) Text(n *yaml.Node, what string) string {
	var s string
	if n.Kind == 0 {
		return ""
	}
	if n.Decode(&s) != nil || s == "" || strings.ContainsFunc(s, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }) {
		r.Fail(n.Line, "%s is empty, or is not one line of text", what)
		return ""
	}
	return s
}
