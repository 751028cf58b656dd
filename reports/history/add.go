package history

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"cellwall/reports/record"
)

// leastSamples is how many each record of a run has: with fewer a median has no interval.
const leastSamples = 6

// ahead is by how much the clock of a host may be ahead of ours.
const ahead = 24 * time.Hour

// ErrThere is wrapped where a run is in the history already.
var ErrThere = errors.New("it is there already")

// New is a run that can be added.
type New struct {
	Path string // of the file that holds it
	name name
	text []byte
	run  record.Run
}

// File is the name that it will have.
func (n *New) File() string { return n.name.String() }

// Check reads a file and says what is wrong with it as a run of a history: it has to hold the samples of one
// run, of one subject for each runtime and rung, and what that was measured beside. commit is that of the
// program that was measured; empty is what the records tell. now is the time, so that a run of a clock that
// is ahead is refused.
func Check(path, commit string, now time.Time) (*New, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, syscall.EISDIR) {
		return nil, fmt.Errorf("%s is a directory: name the file in it, %s", path, filepath.Join(path, "bench.jsonl"))
	}
	if err != nil {
		return nil, fmt.Errorf("read a run: %w", err)
	}
	set, err := record.Read(path, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	if len(set.Verdicts) > 0 && len(set.Benches) > 0 {
		return nil, fmt.Errorf("%s: it holds verdicts too: a run of a history has samples only", path)
	}
	run, measured, err := set.Measured(leastSamples)
	if err != nil {
		return nil, named(path, err)
	}
	n := &New{Path: path, name: nameOf(run, commit, text), text: text, run: run}
	seen := map[Key]*record.Bench{}
	for _, m := range measured {
		for _, b := range m.Subjects {
			k := keyOf(&run, b.Benchmark, b.Runtime, b.Rung)
			switch other := seen[k]; {
			case b.Planted != 0:
				return nil, fmt.Errorf("%s: benchmark %.40q: %.40q was slowed down on purpose: it says nothing about the program", b.Where(), b.Benchmark, b.Subject)
			case other != nil:
				return nil, fmt.Errorf("%s: benchmark %.40q: %.40q and %.40q are both %s at %s: a run of a history has one of each", b.Where(), b.Benchmark, other.Subject, b.Subject, b.Runtime, b.Rung)
			}
			seen[k] = b
		}
	}
	switch {
	case run.Time.Year() < 2000 || run.Time.Year() > 9999:
		return nil, fmt.Errorf("%s: run %.40q is of %s: a history is in order of time", path, run.ID, run.Time.Format(time.RFC3339))
	case run.Time.After(now.Add(ahead)):
		return nil, fmt.Errorf("%s: run %.40q is of %s, which is yet to come: set the clock of its host, and measure again", path, run.ID, run.Time.Format(time.RFC3339))
	}
	return n, nil
}

// named puts a path before an error that names no place.
func named(path string, err error) error {
	if strings.HasPrefix(err.Error(), path+":") {
		return err
	}
	return fmt.Errorf("%s: %w", path, err)
}

// Add writes a run into a directory, which is made if it is not there. A run that is there is refused, under
// whatever name, and nothing is ever replaced. After an error or a crash there is either the whole file or none.
func Add(dir string, n *New) (err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the history: %w", err)
	}
	if err := n.absent(dir); err != nil {
		return fmt.Errorf("%s: %w", n.Path, err)
	}
	// An error tells of the file that is to be, and not of the temporary one.
	fail := func(err error) error {
		if at := (*fs.PathError)(nil); errors.As(err, &at) {
			err = at.Err
		}
		return fmt.Errorf("add %s: %w", filepath.Join(dir, n.File()), err)
	}
	temporary, err := os.CreateTemp(dir, ".add-*")
	if err != nil {
		return fail(err)
	}
	defer func() { err = errors.Join(err, os.Remove(temporary.Name())) }()
	_, err = temporary.Write(n.text)
	if err == nil {
		err = temporary.Chmod(0o444)
	}
	if err == nil {
		err = temporary.Sync()
	}
	if err = errors.Join(err, temporary.Close()); err != nil {
		return fail(err)
	}
	// A link and no rename, which would replace what somebody has added meanwhile.
	err = os.Link(temporary.Name(), filepath.Join(dir, n.File()))
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s: %w, as %s", n.Path, ErrThere, n.File())
	}
	if err != nil {
		return fmt.Errorf("add a run: %w", err)
	}
	return syncDirectory(dir)
}

// absent looks for the run among those of its time, the only ones that can be the same.
func (n *New) absent(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("read the history: %w", err)
	}
	for _, e := range entries {
		there, err := parseName(e.Name())
		if err != nil || !there.time.Equal(n.name.time.Truncate(time.Second)) {
			continue
		}
		if there.hash == n.name.hash {
			return fmt.Errorf("%w, as %s", ErrThere, e.Name())
		}
		r, err := readRun(dir, e.Name())
		if err != nil {
			return err
		}
		if r.ID == n.run.ID {
			return fmt.Errorf("%w: %s is run %.40q too, with other content", ErrThere, e.Name(), r.ID)
		}
	}
	return nil
}

// syncDirectory makes what was done to a directory last.
func syncDirectory(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("add a run: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("add a run: %w", err)
	}
	return nil
}
