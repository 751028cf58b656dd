package sentinel

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// IDsStay makes containers with hostile ids. What a runtime makes of an id lies below some
// directory of its own: the fence's cgroups, its state directory; beside them nothing of the
// trial's name may appear.
func IDsStay(s *Stage) (*Watch, error) {
	// The stand-in's state directory, and around it the directory that it must not leave.
	around := filepath.Join(s.Dir, "around")
	state := filepath.Join(around, "state", "inner")
	if err := os.MkdirAll(state, 0o755); err != nil { // nothing secret is in it
		return nil, fmt.Errorf("make a state directory: %w", err)
	}
	out := s.Name + "-out"
	ids := []string{
		"../" + out, "a/../../" + out, "./../" + out, "/" + out, "../../" + out, "..", ".", "",
		out + "\n", out + "\x00", out + "/", strings.Repeat("x", 4096),
	}
	return &Watch{Gone: func(ctx context.Context) (Finding, error) {
		accepted := 0
		var outside []string
		for _, id := range ids {
			w := &Watch{
				Ready: func(context.Context, *Subject) error {
					accepted++
					found, err := s.outside(out, around)
					outside = append(outside, found...)
					return err
				},
				Refused: func(context.Context, error) (Finding, error) { return Finding{}, nil },
			}
			before := accepted
			if _, err := s.Launch(ctx, id, w); err != nil {
				late := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) // it says nothing of ids
				if accepted > before && !late {
					// Its state is out of the runtime's own reach.
					return Finding{Breached: true, Evidence: fmt.Sprintf("a container named %.40q was made, and then: %v", id, err)}, nil
				}
				return Finding{}, fmt.Errorf("make a container named %.40q: %w", id, err)
			}
			if s.Has(JoinsAnyID) {
				if err := joinUnchecked(around, state, id); err != nil {
					return Finding{}, err
				}
			}
		}
		left, err := s.outside(out, around)
		if err != nil {
			return Finding{}, err
		}
		outside = append(outside, left...)
		if len(outside) > 0 {
			return Finding{Breached: true, Evidence: fmt.Sprintf("made outside the state directory: %.200q", outside)}, nil
		}
		return Finding{Evidence: fmt.Sprintf("%d of %d ids accepted, nothing was made outside the state directory", accepted, len(ids))}, nil
	}}, nil
}

// outside lists what hostile ids have made where nothing of theirs may be.
func (s *Stage) outside(name, around string) ([]string, error) {
	places := []string{"/", "/run", "/run/cellwall", "/sys/fs", "/tmp", s.Lease, filepath.Dir(s.Dir)}
	for _, h := range s.Fence.Hierarchies() {
		places = append(places, filepath.Dir(h.Path), filepath.Dir(filepath.Dir(h.Path)))
	}
	all, err := s.strayInStage(name, around)
	if err != nil {
		return nil, err
	}
	for _, dir := range places {
		found, err := filepath.Glob(filepath.Join(dir, name+"*"))
		if err != nil {
			return nil, fmt.Errorf("look for state: %w", err)
		}
		all = append(all, found...)
	}
	for _, dir := range []string{around, filepath.Join(around, "state")} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil, fmt.Errorf("look for state: %w", err)
		}
		for _, e := range entries {
			if e.Name() != "state" && e.Name() != "inner" {
				all = append(all, filepath.Join(dir, e.Name()))
			}
		}
	}
	// An id such as ".." has no name of its own by which to find what was made of it.
	made, err := filepath.Glob(filepath.Join(s.Dir, "oci-*", "*"))
	if err != nil {
		return nil, fmt.Errorf("look for state: %w", err)
	}
	for _, path := range made {
		if !slices.Contains([]string{"config.json", "log", "pid", "state"}, filepath.Base(path)) { // the driver's own
			all = append(all, path)
		}
	}
	return all, nil
}

// strayInStage looks through all of the stage but the stand-in's own place. Below a directory of the name
// "state", which drivers give a runtime for its own, a container may have its name.
func (s *Stage) strayInStage(name, around string) (all []string, err error) {
	err = filepath.WalkDir(s.Dir, func(path string, e fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // gone meanwhile
		case err != nil:
			return err
		case path == around || e.IsDir() && (path == s.Rootfs || e.Name() == "state"):
			return fs.SkipDir
		case strings.HasPrefix(e.Name(), name):
			all = append(all, path)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for state: %w", err)
	}
	return all, nil
}

// joinUnchecked is what a runtime without a check does: it makes the directory of an id. It never
// leaves the directory around, whatever the id.
func joinUnchecked(around, state, id string) error {
	path := filepath.Join(state, id)
	if !strings.HasPrefix(path, around+"/") || len(id) > 255 || strings.ContainsRune(id, 0) {
		return nil
	}
	if err := os.Mkdir(path, 0o755); err != nil && !errors.Is(err, os.ErrExist) { // in the trial's directory
		return fmt.Errorf("stand in for a runtime that checks no id: %w", err)
	}
	return nil
}
