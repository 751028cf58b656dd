package driver

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// TestLocksOfNeighbours: the directory of a container stays while others come and go beside it, and nothing is left.
func TestLocksOfNeighbours(t *testing.T) {
	base := t.TempDir()
	var wait sync.WaitGroup
	for i := range 4 {
		wait.Go(func() {
			dir := fmt.Sprintf("/dev/shm/run/container-%d", i)
			for range 500 {
				if err := makeBelow(base, dir); err != nil {
					t.Error(err)
					return
				}
				lock := filepath.Join(base, dir, "lock")
				if err := errors.Join(os.WriteFile(lock, nil, 0o600), os.Remove(lock), removeEmpty(base, dir)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wait.Wait()
	if left, err := os.ReadDir(base); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}
