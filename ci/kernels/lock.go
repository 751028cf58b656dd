package kernels

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// lock waits until no other process changes the cache: flock(2), which also ends with a process that
// was killed. Whoever only reads what is whole needs none.
func (c *Cache) lock(ctx context.Context, tell Progress) (unlock func() error, err error) {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the cache of kernels: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(c.Dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the cache of kernels: %w", err)
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for waits := false; ; waits = true {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) || ctx.Err() != nil {
			break
		}
		if !waits {
			tell.phase("wait for another cellwall")
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock the cache of kernels: %w", cmp.Or(ctx.Err(), err)), f.Close())
	}
	return f.Close, nil
}
