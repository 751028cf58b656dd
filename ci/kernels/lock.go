package kernels

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

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
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		tell.phase("wait for another cellwall")
		err = waitLock(ctx, f)
	}
	if err != nil {
		if ctx.Err() == nil {
			err = errors.Join(err, f.Close())
		}
		return nil, fmt.Errorf("lock the cache of kernels: %w", err)
	}
	return f.Close, nil
}

// waitLock waits for the lock or for the end of ctx. Then whoever still waits closes the file.
func waitLock(ctx context.Context, f *os.File) error {
	locked := make(chan error)
	go func() {
		var err error
		for {
			if err = unix.Flock(int(f.Fd()), unix.LOCK_EX); !errors.Is(err, unix.EINTR) {
				break
			}
		}
		select {
		case locked <- err:
		case <-ctx.Done():
			f.Close() //nolint:errcheck // it was only a lock
		}
	}()
	select {
	case err := <-locked:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
