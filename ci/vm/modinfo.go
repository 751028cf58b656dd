package vm

import (
	"bytes"
	"compress/gzip"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// moduleContent is a module as it goes into the guest.
type moduleContent struct {
	name     string // base name of the file in the guest
	node     node
	readable bool // it is not compressed
}

// maxModule bounds what is unpacked, in bytes. The largest that distributions build is below 10 MiB.
const maxModule = 64 << 20

// openModule unpacks a module where that can be done: not every kernel that compresses its modules
// can unpack them itself (CONFIG_MODULE_DECOMPRESS), as modprobe does it. Where the program for it
// is missing, the module stays as it is.
func openModule(path string) (moduleContent, error) {
	base := filepath.Base(path)
	var unpack func(string) ([]byte, error)
	switch filepath.Ext(base) {
	case ".gz":
		unpack = gunzip
	case ".xz":
		unpack = unpackWith("xz")
	case ".zst":
		unpack = unpackWith("zstd")
	default:
		return moduleContent{name: base, node: file(path), readable: true}, nil
	}
	content, err := unpack(path)
	if errors.Is(err, exec.ErrNotFound) {
		return moduleContent{name: base, node: file(path)}, nil
	}
	if err != nil {
		return moduleContent{}, fmt.Errorf("unpack %s: %w", path, err)
	}
	return moduleContent{name: strings.TrimSuffix(base, filepath.Ext(base)), node: text(content), readable: true}, nil
}

func gunzip(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // read-only
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	return readAll(z)
}

func readAll(r io.Reader) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(r, maxModule+1))
	if err == nil && len(content) > maxModule {
		err = fmt.Errorf("it has more than %d bytes", maxModule)
	}
	return content, err
}

// unpackWith unpacks with a program that understands -dc.
func unpackWith(program string) func(string) ([]byte, error) {
	return func(path string) ([]byte, error) {
		name, err := exec.LookPath(program)
		if err != nil {
			return nil, err
		}
		cmd := exec.Command(name, "-dc", "--", path) //nolint:gosec // of $PATH
		var said bytes.Buffer
		cmd.Stderr = &said
		out, err := cmd.StdoutPipe()
		if err != nil {
			return nil, err
		}
		if err := cmd.Start(); err != nil {
			return nil, err
		}
		content, err := readAll(out)
		if err != nil {
			return nil, errors.Join(err, cmd.Process.Kill(), ignore(cmd.Wait()))
		}
		if err := cmd.Wait(); err != nil {
			return nil, fmt.Errorf("%s: %w: %s", program, err, strings.TrimSpace(said.String()))
		}
		return content, nil
	}
}

// ignore is for what a killed process leaves as its status.
func ignore(error) error { return nil }

// modinfo is what a module says about others.
type modinfo struct {
	needs  []string // cannot be loaded without
	wishes []string // softdep of modprobe.d(5): wants them loaded before, if they are there
}

// modinfo reads the section .modinfo, which modinfo(8) shows.
func (c moduleContent) modinfo() (modinfo, error) {
	var r io.ReaderAt = bytes.NewReader(c.node.text)
	if c.node.source != "" {
		f, err := os.Open(c.node.source)
		if err != nil {
			return modinfo{}, err
		}
		defer f.Close() //nolint:errcheck // read-only
		r = f
	}
	return readModinfo(r)
}

func readModinfo(r io.ReaderAt) (modinfo, error) {
	f, err := elf.NewFile(r)
	if err != nil {
		return modinfo{}, err
	}
	section := f.Section(".modinfo")
	if section == nil {
		return modinfo{}, errors.New("it has no section .modinfo: it is no module")
	}
	const most = 1 << 20
	if section.FileSize > most {
		return modinfo{}, fmt.Errorf("its section .modinfo has %d bytes, more than %d", section.FileSize, most)
	}
	content, err := section.Data()
	if err != nil {
		return modinfo{}, fmt.Errorf("read its section .modinfo: %w", err)
	}
	return parseModinfo(string(content)), nil
}

// parseModinfo reads KEY=VALUE strings that end in zero bytes.
func parseModinfo(text string) (info modinfo) {
	for _, field := range strings.Split(text, "\x00") {
		key, value, _ := strings.Cut(field, "=")
		switch key {
		case "depends":
			for _, name := range strings.Split(value, ",") {
				if name != "" {
					info.needs = append(info.needs, moduleName(name))
				}
			}
		case "softdep":
			before := false
			for _, word := range strings.Fields(value) {
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
