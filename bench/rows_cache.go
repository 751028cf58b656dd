package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"cellwall/bench/load"
	"cellwall/reports/record"
	"cellwall/runtime/driver"
	"cellwall/runtime/kernel"
)

// cacheRows are the start of a static program of several megabytes from a disk.
func cacheRows() []*Benchmark {
	return []*Benchmark{
		{
			Name: "cache.warm", Unit: record.Seconds, Better: record.Lower,
			Doc:  "the time from asking for a container to the end of a static program of several MB on a disk, which is in the page cache",
			Open: openCache(false),
		},
		{
			Name: "cache.cold", Unit: record.Seconds, Better: record.Lower,
			Doc:  "the same where neither the root directory nor the runtime's own program is in the page cache",
			Open: openCache(true),
		},
	}
}

// cached starts a program from a disk.
type cached struct {
	*Env
	bundle driver.Bundle
	cold   bool
	files  []string // what is dropped from the page cache
}

func openCache(cold bool) func(context.Context, *Env) (Sampler, error) {
	return func(_ context.Context, e *Env) (Sampler, error) {
		var st unix.Statfs_t
		if err := unix.Statfs(e.Disk, &st); err != nil {
			return nil, fmt.Errorf("look at %s: %w", e.Disk, err)
		}
		if int64(st.Type) == unix.TMPFS_MAGIC {
			return nil, kernel.Unsupported("%s is on a tmpfs: what lies there is always in memory", e.Disk)
		}
		if e.diskRoot == "" {
			root, err := e.newRoot(e.Disk)
			if err != nil {
				return nil, err
			}
			e.diskRoot = root
		}
		c := &cached{Env: e, cold: cold, files: []string{filepath.Join(e.diskRoot, load.Program)}}
		var err error
		if c.bundle, err = e.bundleIn(e.diskRoot, []string{"/" + load.Program, load.Exit}); err != nil {
			return nil, err
		}
		if path, err := e.ociProgram(); err == nil {
			c.files = append(c.files, path)
		}
		return c, nil
	}
}

func (c *cached) Sample(ctx context.Context) (Value, error) {
	if c.cold {
		for i, file := range c.files {
			// Only the first is ours alone: somebody else may run the other.
			if err := dropCache(file, i == 0); err != nil {
				return Value{}, err
			}
		}
	}
	m := begin(c.delay(1))
	container, err := c.Runtime.Create(ctx, c.again(c.bundle))
	if err != nil {
		return Value{}, err
	}
	if err = container.Start(ctx); err == nil {
		err = succeeded(container.Wait(ctx))
	}
	v := m.end()
	return v, remove(ctx, container, err)
}

func (c *cached) Close() error { return nil }

// dropCache takes a file out of the page cache, as far as nobody has it mapped: posix_fadvise(2). With must
// it is an error if a part stays.
func dropCache(path string, must bool) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("drop %s from the page cache: %w", path, err)
	}
	defer file.Close()                  //nolint:errcheck // read-only
	if err := file.Sync(); err != nil { // what is not written yet stays
		return fmt.Errorf("drop %s from the page cache: %w", path, err)
	}
	if err := unix.Fadvise(int(file.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
		return fmt.Errorf("drop %s from the page cache: %w", path, err)
	}
	if !must {
		return nil
	}
	pages, err := resident(file)
	if err == nil && pages > 0 {
		err = fmt.Errorf("%d pages stay", pages)
	}
	if err != nil {
		return fmt.Errorf("drop %s from the page cache: %w", path, err)
	}
	return nil
}

// resident counts the pages of a file that are in the page cache.
func resident(file *os.File) (int, error) {
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	m, err := unix.Mmap(int(file.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return 0, fmt.Errorf("map: %w", err)
	}
	defer unix.Munmap(m) //nolint:errcheck // nothing is lost
	page := os.Getpagesize()
	in := make([]byte, (len(m)+page-1)/page)
	if err := mincore(m, in); err != nil {
		return 0, err
	}
	n := 0
	for _, b := range in {
		n += int(b & 1)
	}
	return n, nil
}
