package probes

import (
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Cgroups names the cgroups of one hierarchy by id. It is safe for concurrent use.
type Cgroups struct {
	root  string // where the hierarchy is mounted
	mu    sync.Mutex
	paths map[uint64]string
	read  time.Time
}

// readAgain is how often Name looks for cgroups that it does not know.
const readAgain = time.Second

// NewCgroups names the cgroups below the mount point of a hierarchy.
func NewCgroups(root string) *Cgroups { return &Cgroups{root: root, paths: map[uint64]string{}} }

// Name is the path of a cgroup below the mount point, "" if there is none of that id, or it is
// gone and was not named while it was there.
func (c *Cgroups) Name(id uint64) string {
	if id == 0 {
		return ""
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if name, ok := c.paths[id]; ok || time.Since(c.read) < readAgain {
		return name
	}
	c.read = time.Now()
	// What is removed meanwhile is not named; no other error can be of use here.
	_ = filepath.WalkDir(c.root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return nil //nolint:nilerr // gone meanwhile
		}
		info, err := d.Info()
		if err != nil {
			return nil //nolint:nilerr // gone meanwhile
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			c.paths[st.Ino] = filepath.Join("/", strings.TrimPrefix(path, c.root))
		}
		return nil
	})
	return c.paths[id]
}
