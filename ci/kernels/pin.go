package kernels

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Pin writes the pins of some kernels, by their names, into the matrix file. Only the lines of those
// pins change: comments, order and blank lines stay as they are, which they would not if the file
// were written anew from its YAML.
func Pin(file string, pins map[string][]Deb) error {
	path, err := filepath.EvalSymlinks(file)
	if err != nil {
		return fmt.Errorf("pin: %w", err)
	}
	raw, err := readFile(path)
	if err != nil {
		return err
	}
	text, err := pinned(file, raw, pins)
	if err != nil || bytes.Equal(text, raw) {
		return err
	}
	return replaceFile(path, text)
}

// pinned is the text of a matrix file with other pins.
func pinned(file string, raw []byte, pins map[string][]Deb) ([]byte, error) {
	want, err := parse(file, raw)
	if err != nil {
		return nil, err
	}
	var nodes struct {
		Kernels []yaml.Node `yaml:"kernels"`
	}
	if err := yaml.NewDecoder(bytes.NewReader(raw)).Decode(&nodes); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err) // parse took it
	}
	lines := strings.Split(string(raw), "\n")
	done := 0
	// From the end, so that the lines of the others stay where they are.
	for i := len(want) - 1; i >= 0; i-- {
		pin, ok := pins[want[i].Name]
		if !ok {
			continue
		}
		want[i].Pin = pin
		lines = pinLines(lines, &nodes.Kernels[i], pin)
		done++
	}
	if done != len(pins) {
		return nil, fmt.Errorf("%s: it has %d of the %d kernels to pin", file, done, len(pins))
	}
	text := []byte(strings.Join(lines, "\n"))
	// Whatever the file looks like, it must now say this and nothing else.
	got, err := parse(file, text)
	for i := range got {
		got[i].Line = 0
	}
	for i := range want {
		want[i].Line = 0
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		return nil, fmt.Errorf("%s: the pins cannot be written into it: write each key of a kernel on a line of its own, as docs/kernels.md shows", file)
	}
	return text, nil
}

// pinLines puts a pin in the place of the one that an entry has, or behind the entry's last line.
func pinLines(lines []string, entry *yaml.Node, pin []Deb) []string {
	if len(entry.Content) == 0 {
		return lines
	}
	first := lines[entry.Content[0].Line-1]
	indent := strings.Repeat(" ", len(first)-len(strings.TrimLeft(first, " -")))
	block := []string{indent + "pin:"}
	for _, d := range pin {
		block = append(block, indent+"  - package: "+d.Package, indent+"    version: "+d.Version, indent+"    sha256: "+d.SHA256)
	}
	from := lastLine(entry)
	to := from
	for i := 0; i+1 < len(entry.Content); i += 2 {
		if key := entry.Content[i]; key.Value == "pin" {
			from, to = key.Line-1, max(key.Line, lastLine(entry.Content[i+1]))
			// A comment behind the key says what the pin is for.
			if _, comment, ok := strings.Cut(lines[from], " #"); ok {
				block[0] += " #" + comment
			}
		}
	}
	return slices.Replace(lines, from, to, block...)
}

// lastLine is the last one on which anything below a node begins.
func lastLine(n *yaml.Node) int {
	last := n.Line
	for _, c := range n.Content {
		last = max(last, lastLine(c))
	}
	return last
}

// replaceFile gives a file another text: afterwards it has the old or the new one, whole.
func replaceFile(path string, text []byte) (err error) {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("write: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".cellwall-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("write %s: %w", path, err), os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(text)
	err = errors.Join(err, f.Chmod(info.Mode().Perm()), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
