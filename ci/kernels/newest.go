package kernels

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Newest finds the newest kernel in the cache whose release is the one given or begins with it up to a dot or a dash;
// "" is any. It needs no matrix file; the kernel's name is its release. The error is ErrAbsent where there is none.
func (c *Cache) Newest(arch, release string) (Kernel, error) {
	dirs, err := os.ReadDir(c.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Kernel{}, fmt.Errorf("read the cache of kernels: %w", err)
	}
	var best *manifest
	at := ""
	for _, d := range dirs {
		if !aKey.MatchString(d.Name()) {
			continue
		}
		m, err := readManifest(filepath.Join(c.Dir, d.Name()))
		if err != nil || m.Arch != arch || !beginsWith(m.Release, release) {
			continue
		}
		if best == nil || compareReleases(m.Release, best.Release) > 0 {
			best, at = m, filepath.Join(c.Dir, d.Name())
		}
	}
	if best == nil {
		return Kernel{}, fmt.Errorf("a kernel %s for %s: %w %s: run `cellwall kernels fetch`", release, arch, ErrAbsent, c.Dir)
	}
	e := Entry{Name: best.Release, Arch: arch, Pin: best.Debs}
	if err := best.check(at, e); err != nil {
		return Kernel{}, fmt.Errorf("kernel %s: %s is damaged: %w", best.Release, at, err)
	}
	return best.kernel(at, e), nil
}

func beginsWith(release, start string) bool {
	rest, ok := strings.CutPrefix(release, start)
	return ok && (start == "" || rest == "" || rest[0] == '.' || rest[0] == '-' || rest[0] == '+')
}

// compareReleases compares by their numbers, one after the other: 6.12 is newer than 6.9.
func compareReleases(a, b string) int {
	numbers := func(s string) []string {
		return strings.FieldsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
	}
	x, y := numbers(a), numbers(b)
	for i := range min(len(x), len(y)) {
		m, _ := strconv.Atoi(x[i]) // digits, and what is too long is of no kernel
		n, _ := strconv.Atoi(y[i])
		if m != n {
			return cmp.Compare(m, n)
		}
	}
	return cmp.Compare(len(x), len(y))
}
