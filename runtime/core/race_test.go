package core_test

import (
	"errors"
	"os"
	"sync"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/core"
	"cellwall/runtime/spec"
)

// TestDeleteBesideOthers: whoever kills, joins, waits for or looks at a container that is deleted
// meanwhile gets an answer, and nobody is left.
func TestDeleteBesideOthers(t *testing.T) {
	f := newFixture(t)
	for range 20 {
		c, _ := f.hold(t, spec.Namespaces, nil)
		process := core.DefaultProcess(spec.New(spec.Namespaces, f.options), []string{program, "wait"})
		process.Cwd = "/"
		read, write, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				p, err := c.Exec(t.Context(), process, read, nil, nil)
				if err != nil {
					return // it was too late
				}
				if err := p.Kill(unix.SIGKILL); err != nil && !errors.Is(err, os.ErrProcessDone) {
					t.Errorf("kill the process: %v", err)
				}
				_, err = p.Wait(t.Context())
				check(t, err)
				check(t, p.Close())
			})
			all.Go(func() {
				if err := c.Kill(unix.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
					t.Errorf("kill: %v", err)
				}
				_ = c.State()
			})
			all.Go(func() {
				_, err := c.Wait(t.Context())
				check(t, err)
			})
		}
		all.Go(func() { check(t, c.Delete()) })
		all.Wait()
		if err := c.Kill(unix.SIGKILL); !errors.Is(err, os.ErrProcessDone) {
			t.Errorf("kill a deleted container: %v", err)
		}
		if s := c.State(); s.Status != specs.StateStopped || s.Pid != 0 {
			t.Errorf("a deleted container is %s, pid %d", s.Status, s.Pid)
		}
		if _, err := c.Exec(t.Context(), process, nil, nil, nil); err == nil {
			t.Error("joined a deleted container")
		}
		check(t, c.Delete())
		check(t, errors.Join(read.Close(), write.Close()))
	}
}
