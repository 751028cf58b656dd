package kernels

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Cache keeps kernels in a directory, each in one that is named after the checksums of its packages.
// Several processes may use it at once. What lies under such a name is whole and never changes.
type Cache struct {
	Dir string
}

// DefaultDir is where kernels are kept unless somebody says otherwise.
func DefaultDir() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the user's cache: %w", err)
	}
	return filepath.Join(dir, "cellwall", "kernels"), nil
}

// ErrAbsent is the error of a kernel that is not in the cache.
var ErrAbsent = errors.New("not in the cache")

// unfinished is how a directory begins that is not a kernel yet.
const unfinished = ".new-"

var aKey = matching(`^[0-9a-f]{64}$`)

// key is the name of a kernel's directory.
func key(e Entry) string {
	h := sha256.New()
	fmt.Fprintln(h, e.Arch)
	for _, d := range e.Pin {
		fmt.Fprintln(h, d.Package, d.Version, d.SHA256)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Load finds a kernel without a network and without changing anything, and checks that it is whole.
// The error is ErrAbsent, ErrUnpinned, or says what is damaged.
func (c *Cache) Load(e Entry) (Kernel, error) {
	switch {
	case e.Local():
		return e.local()
	case !e.Pinned():
		return Kernel{}, e.unpinned()
	}
	dir := filepath.Join(c.Dir, key(e))
	m, err := readManifest(dir)
	if errors.Is(err, fs.ErrNotExist) && missing(dir) {
		return Kernel{}, fmt.Errorf("%s: %w %s: run `cellwall kernels fetch %s`", e.where(), ErrAbsent, c.Dir, e.Name)
	}
	if err == nil {
		err = m.check(dir, e)
	}
	if err != nil {
		return Kernel{}, fmt.Errorf("%s: %s is damaged: %w", e.where(), dir, err)
	}
	return m.kernel(dir, e), nil
}

func missing(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, fs.ErrNotExist)
}

// Fetch returns a kernel from the cache, and gets it from the mirrors if it is not there or is
// damaged. Only then is there any need for a network or for apt.
func (c *Cache) Fetch(ctx context.Context, e Entry, tell Progress) (_ Kernel, err error) {
	k, err := c.Load(e)
	if err == nil || e.Local() || !e.Pinned() {
		return k, err
	}
	unlock, err := c.lock(ctx, tell)
	if err != nil {
		return Kernel{}, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	k, why := c.Load(e) // another process may have fetched it meanwhile
	if why == nil {
		return k, nil
	}
	if err := c.removeUnfinished(); err != nil {
		return Kernel{}, err
	}
	if !errors.Is(why, ErrAbsent) {
		tell.phase("fetch it again: it is damaged")
	}
	err = c.install(ctx, e, tell)
	switch {
	case err == nil:
		return c.Load(e)
	case errors.Is(why, ErrAbsent):
		return Kernel{}, fmt.Errorf("%s: %w", e.where(), err)
	}
	return Kernel{}, fmt.Errorf("%w, and cannot be fetched again: %w", why, err)
}

// install makes the directory of a kernel. It appears under its name at once and whole.
func (c *Cache) install(ctx context.Context, e Entry, tell Progress) (err error) {
	staging, err := os.MkdirTemp(c.Dir, unfinished)
	if err != nil {
		return fmt.Errorf("make its directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(staging)) }()
	debs, err := c.get(ctx, e, staging, tell)
	if err != nil {
		return err
	}
	tell.phase("unpack")
	tree, err := unpack(ctx, staging, debs)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tree.Close()) }()
	made := filepath.Join(staging, "made")
	if err := os.Mkdir(made, 0o755); err != nil {
		return err
	}
	for _, part := range []string{"boot", "lib"} {
		if err := os.Rename(filepath.Join(tree.Path(), part), filepath.Join(made, part)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := writeManifest(made, e); err != nil {
		return err
	}
	final := filepath.Join(c.Dir, key(e))
	if err := os.RemoveAll(final); err != nil { // it is damaged
		return err
	}
	return os.Rename(made, final) // what a crash of the host damages is fetched again
}

// get downloads the packages of a kernel and checks them. The index is read anew only if the one of
// the last time does not lead to them.
func (c *Cache) get(ctx context.Context, e Entry, staging string, tell Progress) ([]string, error) {
	a, err := c.apt(e)
	if err != nil {
		return nil, err
	}
	var files []string
	for fresh, i := false, 0; i < len(e.Pin); {
		file, err := a.pinned(ctx, e.Pin[i], filepath.Join(staging, fmt.Sprint(i, fresh)), tell)
		if err != nil && !fresh && ctx.Err() == nil {
			fresh = true
			if err := a.update(ctx, tell); err != nil {
				return nil, err
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		files = append(files, file)
		i++
	}
	return files, nil
}

// pinned downloads one package into a new directory, and makes sure that it is the pinned one.
func (a *apt) pinned(ctx context.Context, d Deb, into string, tell Progress) (string, error) {
	all, err := a.show(ctx, d.Package)
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(all, func(s stanza) bool { return s.Deb == d })
	if i < 0 {
		return "", a.gone(ctx, d, all)
	}
	if err := os.Mkdir(into, 0o700); err != nil {
		return "", err
	}
	file, err := a.download(ctx, all[i], into, tell)
	if err != nil {
		return "", err
	}
	sum, err := sumFile(file)
	if err == nil && sum != d.SHA256 {
		err = fmt.Errorf("%s has the checksum %s, and the pin says %s: it is not taken", d, sum, d.SHA256)
	}
	return file, err
}

func sumFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close() //nolint:errcheck // read-only
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// removeUnfinished removes what processes have left that were killed: the lock is ours, so nobody
// works on it any more.
func (c *Cache) removeUnfinished() error {
	entries, err := os.ReadDir(c.Dir)
	if err != nil {
		return fmt.Errorf("read the cache of kernels: %w", err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), unfinished) {
			err = errors.Join(err, os.RemoveAll(filepath.Join(c.Dir, e.Name())))
		}
	}
	return err
}
