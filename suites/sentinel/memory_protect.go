package sentinel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/cgroup"
	"cellwall/runtime/kernel"
	"cellwall/suites/attack"
)

// WithoutProtection is the edit of Protected's control: the neighbour's memory.min is 0.
const WithoutProtection = "no memory.min for the neighbour"

// A parent with room for one, a neighbour that fills half of it with page cache, and an attacker
// that wants all of it.
const (
	sharedLimit    = 96 << 20
	protectedBytes = 48 << 20
)

// cacheDevice makes a loop device of zeros, and returns a node of it. Its page cache can be taken back
// wherever the image lies: a file on a tmpfs is there in memory, and without swap stays.
func (s *Stage) cacheDevice() (node string, err error) {
	if err := s.freeOf("nodev"); err != nil {
		return "", err
	}
	image := filepath.Join(s.Dir, "cache")
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		return "", fmt.Errorf("make an image: %w", err)
	}
	if err := os.Truncate(image, protectedBytes); err != nil { // a hole, which takes no space
		return "", fmt.Errorf("make an image: %w", err)
	}
	number, err := s.loop(image)
	if err != nil {
		return "", err
	}
	node = filepath.Join(s.Dir, "cache-device")
	if err := unix.Mknod(node, unix.S_IFBLK|0o600, int(number)); err != nil { // a device number
		return "", fmt.Errorf("make a node of the loop device: %w", err)
	}
	return node, nil
}

// Protected puts the container and a neighbour below one limit. The neighbour's memory is page
// cache, which the kernel takes back where memory.min does not forbid it.
func Protected(s *Stage) (*Watch, error) {
	parent, err := s.parent("shared", cgroup.Limits{MemoryMax: sharedLimit, MemoryMin: protectedBytes})
	if err != nil {
		return nil, err
	}
	limits := cgroup.Limits{MemoryMin: protectedBytes}
	if s.Has(WithoutProtection) {
		limits.MemoryMin = 0
	}
	group, err := s.group(parent, "victim", limits)
	if err != nil {
		return nil, err
	}
	cache, err := s.cacheDevice()
	if err != nil {
		return nil, err
	}
	victim, err := s.neighbour(attack.CacheFile, attack.Target{Path: cache, Bytes: protectedBytes}, group)
	if err != nil {
		return nil, err
	}
	var before, after uint64
	w := &Watch{
		Parent: parent,
		Target: attack.Target{Bytes: sharedLimit - protectedBytes/4},
		Edits:  s.limited(func(sp *specs.Spec) { sp.Linux.Resources.Memory = &specs.LinuxMemory{} }),
	}
	w.Ready = func(context.Context, *Subject) error {
		if err := victim.begin(); err != nil {
			return err
		}
		if said, err := victim.hears(); err != nil || said != "full" {
			return errors.Join(err, fmt.Errorf("the neighbour has no cache: %s", said))
		}
		stat, err := group.Stat()
		before = stat.Memory.Current
		return err
	}
	w.Hold = func(context.Context, string, *Subject) error {
		stat, err := group.Stat()
		after = stat.Memory.Current
		return err
	}
	w.Look = func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
		if err := MustTry(r, "touch"); err != nil {
			return Finding{}, err
		}
		e, err := parent.Events()
		if err != nil {
			return Finding{}, err
		}
		if slices.Contains(e.Lacks, "memory.events low") {
			return Finding{}, kernel.Unsupported("memory.min: this hierarchy has none")
		}
		f := Finding{
			Breached: after < protectedBytes*9/10, // it had more, which is anybody's
			Evidence: fmt.Sprintf("the neighbour had %d bytes and kept %d; memory.events max of both is %d", before, after, e.Memory.Max),
		}
		if !f.Breached && e.Memory.Max == 0 {
			return f, errors.New("the attacker did not get to the limit that it shares: max is 0")
		}
		return f, nil
	}
	return w, nil
}
