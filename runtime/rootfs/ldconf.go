package rootfs

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// machines are the names that paths have for a machine: the multiarch triplet of Debian and
// AT_PLATFORM.
var machines = map[elf.Machine]struct{ triplet, platform string }{
	elf.EM_X86_64:    {triplet: "x86_64-linux-gnu", platform: "x86_64"},
	elf.EM_386:       {triplet: "i386-linux-gnu", platform: "i686"},
	elf.EM_AARCH64:   {triplet: "aarch64-linux-gnu", platform: "aarch64"},
	elf.EM_ARM:       {triplet: "arm-linux-gnueabihf", platform: "v7l"},
	elf.EM_RISCV:     {triplet: "riscv64-linux-gnu", platform: "riscv64"},
	elf.EM_PPC64:     {triplet: "powerpc64le-linux-gnu", platform: "power9"},
	elf.EM_S390:      {triplet: "s390x-linux-gnu", platform: "z13"},
	elf.EM_LOONGARCH: {triplet: "loongarch64-linux-gnu", platform: "loongarch64"},
}

// defaultDirectories are those built into the loaders of the distributions. One for another
// word size does no harm: its libraries are passed over.
func defaultDirectories(o *object, interpreter string) []string {
	triplet := machines[o.machine].triplet
	dirs := []string{"/lib/" + triplet, "/usr/lib/" + triplet, "/lib64", "/usr/lib64", "/lib", "/usr/lib"}
	// A loader outside of them (Nix, Guix, a toolchain) looks beside itself.
	if dir := path.Dir(interpreter); interpreter != "" && !slices.Contains(dirs, dir) {
		dirs = append(dirs, dir)
	}
	return dirs
}

// directories returns those of /etc/ld.so.conf, read once.
func (l *loader) directories() ([]string, error) {
	if !l.conf {
		dirs, err := l.readConf("/etc/ld.so.conf", 0)
		if err != nil {
			return nil, err
		}
		l.conf, l.configured = true, dirs
	}
	return l.configured, nil
}

func (l *loader) readConf(name string, depth int) ([]string, error) {
	const maxDepth = 10 // ldconfig stops there too
	if depth > maxDepth {
		return nil, fmt.Errorf("read %q: included more than %d deep", name, maxDepth)
	}
	text, err := l.readFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var dirs []string
	for _, line := range parseConf(text) {
		if line.include == "" {
			dirs = append(dirs, line.directory)
			continue
		}
		pattern := line.include
		if !path.IsAbs(pattern) {
			pattern = path.Join(path.Dir(name), pattern)
		}
		files, err := filepath.Glob(l.host + pattern)
		if err != nil {
			return nil, fmt.Errorf("read %q: include %q: %w", name, pattern, err)
		}
		for _, file := range files {
			more, err := l.readConf(strings.TrimPrefix(file, l.host), depth+1)
			if err != nil {
				return nil, err
			}
			dirs = append(dirs, more...)
		}
	}
	return dirs, nil
}

func (l *loader) readFile(name string) (string, error) {
	f, err := l.open(name)
	if err != nil {
		return "", err
	}
	defer f.Close() //nolint:errcheck // nothing was written
	const most = 1 << 20
	text, err := io.ReadAll(io.LimitReader(f, most))
	return string(text), err
}

type confLine struct{ directory, include string }

// parseConf reads ld.so.conf as ldconfig(8) does: directories between white space, colons or
// commas, an obsolete =TYPE after them, comments, and lines with include and patterns.
func parseConf(text string) []confLine {
	var lines []confLine
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		words := strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(" \t\r\n\f\v:,", r) })
		if len(words) == 0 || words[0] == "hwcap" {
			continue
		}
		include := words[0] == "include"
		if include {
			words = words[1:]
		}
		for _, w := range words {
			if include {
				lines = append(lines, confLine{include: w})
				continue
			}
			if w, _, _ = strings.Cut(w, "="); path.IsAbs(w) {
				lines = append(lines, confLine{directory: path.Clean(w)})
			}
		}
	}
	return lines
}

// cache brings /etc/ld.so.cache for a library that is found only with it: the loader itself
// never reads ld.so.conf.
func (l *loader) cache(dir string, defaults []string, library string) error {
	const name = "/etc/ld.so.cache"
	if slices.Contains(defaults, dir) {
		return nil
	}
	if _, err := l.bring(name, library); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func musl(interpreter string) bool { return strings.HasPrefix(path.Base(interpreter), "ld-musl-") }

// muslBuiltin says whether musl's loader is that library itself, ldso/dynlink.c.
func muslBuiltin(need string) bool {
	name, ok := strings.CutPrefix(need, "lib")
	return ok && slices.ContainsFunc([]string{"c.", "pthread.", "rt.", "m.", "dl.", "util.", "xnet."}, func(p string) bool { return strings.HasPrefix(name, p) })
}

// muslDirectories reads /etc/ld-musl-ARCH.path, beside the directory of the loader.
func (l *loader) muslDirectories(interpreter string) []string {
	arch := strings.TrimSuffix(strings.TrimPrefix(path.Base(interpreter), "ld-musl-"), ".so.1")
	name := "/etc/ld-musl-" + arch + ".path"
	text, err := l.readFile(name)
	if err != nil {
		return []string{"/lib", "/usr/local/lib", "/usr/lib"}
	}
	// The loader needs it in the container, too.
	if _, err := l.bring(name, interpreter); err != nil {
		return nil
	}
	return strings.FieldsFunc(text, func(r rune) bool { return r == ':' || r == '\n' })
}
