package vm

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// unpackers are the programs that unpack a module here. Not every kernel that compresses its modules
// can do it itself (CONFIG_MODULE_DECOMPRESS, 5.17), and a packed one does not say what it needs.
var unpackers = map[string]string{".gz": "gzip", ".xz": "xz", ".zst": "zstd"}

// readModule returns a module as it goes into the guest, and what it says about others.
func readModule(path string) (module, modinfo, error) {
	base, ext := filepath.Base(path), filepath.Ext(path)
	program, packed := unpackers[ext]
	if !packed {
		f, err := os.Open(path)
		if err != nil {
			return module{}, modinfo{}, err
		}
		defer f.Close() //nolint:errcheck // read-only
		info, err := readModinfo(f)
		return module{file: base, node: file(path)}, info, err
	}
	content, err := unpack(program, path)
	if err != nil {
		return module{}, modinfo{}, fmt.Errorf("unpack %s: %w", path, err)
	}
	info, err := readModinfo(bytes.NewReader(content))
	return module{file: strings.TrimSuffix(base, ext), node: text(content)}, info, err
}

func unpack(program, path string) ([]byte, error) {
	content, err := exec.Command(program, "-dc", "--", path).Output()
	var failed *exec.ExitError
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return nil, fmt.Errorf("%s is not installed", program)
	case errors.As(err, &failed):
		return nil, fmt.Errorf("%w: %s", err, bytes.TrimSpace(failed.Stderr))
	}
	return content, err
}

// modinfo is what a module says about others.
type modinfo struct {
	needs  []string // cannot be loaded without
	wishes []string // softdep of modprobe.d(5): wants them loaded before, if they are there
}

// readModinfo reads the section .modinfo, which modinfo(8) shows.
func readModinfo(r io.ReaderAt) (modinfo, error) {
	f, err := elf.NewFile(r)
	if err != nil {
		return modinfo{}, err
	}
	section := f.Section(".modinfo")
	if section == nil {
		return modinfo{}, errors.New("it has no section .modinfo: it is no module")
	}
	content, err := section.Data()
	if err != nil {
		return modinfo{}, fmt.Errorf("read its section .modinfo: %w", err)
	}
	return parseModinfo(string(content)), nil
}

// parseModinfo reads KEY=VALUE strings that end in zero bytes.
func parseModinfo(text string) (info modinfo) {
	for field := range strings.SplitSeq(text, "\x00") {
		key, value, _ := strings.Cut(field, "=")
		switch key {
		case "depends":
			for name := range strings.SplitSeq(value, ",") {
				if name != "" {
					info.needs = append(info.needs, moduleName(name))
				}
			}
		case "softdep":
			before := false
			for word := range strings.FieldsSeq(value) {
				switch word {
				case "pre:":
					before = true
				case "post:":
					before = false
				default:
					if before {
						info.wishes = append(info.wishes, moduleName(word))
					}
				}
			}
		}
	}
	return info
}
