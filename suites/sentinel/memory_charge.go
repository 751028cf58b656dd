package sentinel

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"cellwall/runtime/cgroup"
	"cellwall/runtime/spec"
	"cellwall/suites/attack"
)

// OutsideTheCgroup is the edit of Charged's control: the attacker is moved out before it begins.
const OutsideTheCgroup = "the attacker in another cgroup"

const (
	fillBytes  = 4 << 20
	fillNames  = 2 << 10
	fillVolume = "/volume"
)

// charges is how much of each kind must be charged at least, in bytes. Memory is charged ahead in
// steps of up to 64 pages for each CPU (MEMCG_CHARGE_BATCH), so that not every page is seen.
var charges = map[string]uint64{
	"tmpfs":            fillBytes * 3 / 4,
	"page cache":       fillBytes * 3 / 4,
	"System V segment": fillBytes * 3 / 4,
	"pipes":            fillBytes * 3 / 4,
	"sockets":          fillBytes / 2,
	"names":            fillNames * 192, // of a dentry alone
}

// Charged reads how much the memory of the attacker's first cgroup grows with each kind of memory
// that outlives the process that filled it.
func Charged(s *Stage) (*Watch, error) {
	volume, err := s.volume(fillVolume)
	if err != nil {
		return nil, err
	}
	w := &Watch{
		Edits:  volume,
		Target: attack.Target{Bytes: fillBytes, Count: fillNames, Path: fillVolume},
	}
	w.Ready = func(_ context.Context, a *Subject) error {
		if !s.Has(OutsideTheCgroup) {
			return nil
		}
		other, err := s.group(s.Fence, "outside", cgroup.Limits{})
		if err != nil {
			return err
		}
		return other.Add(a.PID)
	}
	var last uint64
	var missing, seen []string
	w.Hold = func(_ context.Context, kind string, a *Subject) error {
		stat, err := a.Group.Stat()
		if err != nil {
			return err
		}
		grown := stat.Memory.Current - min(last, stat.Memory.Current)
		last = stat.Memory.Current
		if kind == "start" {
			return nil
		}
		seen = append(seen, fmt.Sprintf("%s %d", kind, grown))
		if grown < charges[kind] {
			missing = append(missing, fmt.Sprintf("%s (%d of %d)", kind, grown, charges[kind]))
		}
		return nil
	}
	w.Look = func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
		f := Finding{Evidence: "charged bytes: " + strings.Join(seen, ", ")}
		for _, kind := range attack.Kinds {
			if !succeeded(r, "fill "+kind) {
				return f, fmt.Errorf("the attacker did not get to fill %s", kind)
			}
		}
		var parts []part
		for _, kind := range attack.Kinds {
			parts = append(parts, part{kind, slices.ContainsFunc(missing, func(m string) bool { return strings.HasPrefix(m, kind+" ") })})
		}
		if len(missing) > 0 {
			f.Evidence = "not charged: " + strings.Join(missing, ", ")
		}
		return f.of(parts...), nil
	}
	return w, nil
}

// volume makes a directory of the trial's own that any user may write to, and shows it to the
// container at a path, or lies there where the container has no mounts of its own.
func (s *Stage) volume(path string) (spec.Edits, error) { //nolint:unparam // the row says where
	dir := s.volumeDir(path)
	if err := os.Mkdir(dir, 0o755); err != nil { // chmod follows
		return nil, fmt.Errorf("make a volume: %w", err)
	}
	if err := os.Chmod(dir, 0o777); err != nil { // any mapped user may write
		return nil, fmt.Errorf("make a volume: %w", err)
	}
	if !s.Rung.Covers(spec.Namespaces) {
		return nil, nil
	}
	return spec.Edits{spec.WithMount(spec.Bind(dir, path))}, nil
}

// volumeDir is where that directory lies on the host.
func (s *Stage) volumeDir(path string) string {
	if !s.Rung.Covers(spec.Namespaces) {
		return filepath.Join(s.Rootfs, path)
	}
	return filepath.Join(s.Dir, "volume")
}

// ReadCurrent is the edit of PeakKept's control: the witness reads what is used now.
const ReadCurrent = "memory.current read instead"

const peakBytes = 64 << 20

// PeakKept reads the peak of the attacker's cgroup once its memory has been freed.
func PeakKept(s *Stage) (*Watch, error) {
	var g grown
	w := &Watch{
		Edits:  s.cgroupMount("ro"),
		Target: attack.Target{Bytes: peakBytes, Name: s.Name},
		Hold:   g.hold,
	}
	w.Look = func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
		if !succeeded(r, fmt.Sprintf("touch %d bytes", int64(peakBytes))) {
			return Finding{}, fmt.Errorf("the attacker did not get to touch its memory")
		}
		file, value := "memory.peak", g.stat.Memory.Peak
		if s.Has(ReadCurrent) {
			file, value = "memory.current", g.stat.Memory.Current
		}
		if err := lacking(g.stat.Lacks, file); err != nil {
			return Finding{}, err
		}
		return Finding{
			Breached: value < peakBytes,
			Evidence: fmt.Sprintf("after a use of %d bytes %s is %d", peakBytes, file, value),
		}, nil
	}
	return w, nil
}
