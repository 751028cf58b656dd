package history

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"cellwall/reports/record"
)

// Run is a run of a history.
type Run struct {
	File   string // its name in the directory
	ID     string
	Time   time.Time
	Commit string // short, or Unknown
	Host   string // its class: "x86_64, 2 CPUs, Linux 6.18"

	boot  string
	ticks uint64 // of all CPUs since boot, when it began
}

// History is what a directory holds.
type History struct {
	Dir  string
	Runs []*Run // in order of time
	// Notes are what makes the order doubtful, whole sentences.
	Notes []string
}

// Load reads a history: every file, but of the records no more than that of the run. A file that cannot be read,
// or has changed since it was added, is an error that names it; the history then holds the others. tell is told how many of the files are read; nil tells nobody.
func Load(dir string, tell func(done, all int)) (*History, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read the history: %w", err)
	}
	var files []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), Extension) && !strings.HasPrefix(e.Name(), ".") {
			files = append(files, e.Name())
		}
	}
	runs, errs := make([]*Run, len(files)), make([]error, len(files))
	each(len(files), tell, func(i int) { runs[i], errs[i] = readRun(dir, files[i]) })
	h := &History{Dir: dir, Runs: slices.DeleteFunc(runs, func(r *Run) bool { return r == nil })}
	slices.SortStableFunc(h.Runs, func(a, b *Run) int { return a.Time.Compare(b.Time) }) // of the same time by name
	h.Notes = clocks(h.Runs)
	return h, errors.Join(append(errs, twice(dir, h.Runs))...)
}

// each calls a function for every index below n, on all CPUs.
func each(n int, tell func(done, all int), f func(i int)) {
	var group sync.WaitGroup
	var mu sync.Mutex
	next, done := 0, 0
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() {
			for {
				mu.Lock()
				i := next
				next++
				mu.Unlock()
				if i >= n {
					return
				}
				f(i)
				mu.Lock()
				done++
				if tell != nil {
					tell(done, n)
				}
				mu.Unlock()
			}
		})
	}
	group.Wait()
}

// decode reads the records of runs. One that cannot be read has none.
func (h *History) decode(runs []*Run) ([][]level, error) {
	levels, errs := make([][]level, len(runs)), make([]error, len(runs))
	each(len(runs), nil, func(i int) {
		path := filepath.Join(h.Dir, runs[i].File)
		text, err := os.ReadFile(path)
		if err != nil {
			errs[i] = fmt.Errorf("read a run: %w", err)
			return
		}
		levels[i], errs[i] = decode(path, text)
	})
	return levels, errors.Join(errs...)
}

// readRun reads a file of a history, and of its records the first.
func readRun(dir, file string) (*Run, error) {
	path := filepath.Join(dir, file)
	n, err := parseName(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	first, hash, err := skim(path)
	if err != nil {
		return nil, fmt.Errorf("read a run: %w", err)
	}
	if hash != n.hash {
		return nil, fmt.Errorf("%s: it is not what was added, but changed or cut short: take it from another copy of the history, or remove it", path)
	}
	run, err := describe(path, first)
	if err != nil {
		return nil, err
	}
	r := &Run{File: file, ID: run.ID, Time: run.Time, Commit: n.commit, Host: hostOf(&run), boot: run.BootID}
	if run.Benching != nil {
		r.ticks = run.Benching.Before.CPUTicks
	}
	return r, nil
}

// skim reads all of a file and keeps the first line.
func skim(path string) (first []byte, hash string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, "", err
	}
	defer f.Close() //nolint:errcheck // read-only
	r := bufio.NewReader(f)
	if first, err = r.ReadBytes('\n'); err != nil && !errors.Is(err, io.EOF) {
		return nil, "", err
	}
	sum := sha256.New()
	sum.Write(first)
	if _, err := io.Copy(sum, r); err != nil {
		return nil, "", err
	}
	return first, digits(sum.Sum(nil)), nil
}

var majorMinor = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^\d+\.\d+`) })

// hostOf is the class of a host: only runs of one class are compared.
func hostOf(run *record.Run) string {
	kernel := majorMinor().FindString(run.Kernel)
	if kernel == "" {
		kernel = run.Kernel
	}
	return fmt.Sprintf("%s, %d CPUs, Linux %s", run.Machine, run.CPUs, kernel)
}

// twice finds runs that are there under two names, as two branches may have added them.
func twice(dir string, runs []*Run) error {
	var errs []error
	seen := map[string]string{}
	for _, r := range runs {
		if other, there := seen[r.ID]; there {
			errs = append(errs, fmt.Errorf("%s: %s and %s are one run, %.40q: remove one of them", dir, other, r.File, r.ID))
		}
		seen[r.ID] = r.File
	}
	return errors.Join(errs...)
}

// clocks finds hosts whose clocks were set back: of one boot, a later run has had more ticks.
func clocks(runs []*Run) []string {
	var notes []string
	last := map[string]*Run{}
	for _, r := range runs {
		if r.boot == "" || r.ticks == 0 {
			continue
		}
		if before := last[r.boot]; before != nil && before.ticks > r.ticks {
			notes = append(notes, fmt.Sprintf("The clock of the host was set between %s and %s, which are in the wrong order by its uptime.", before.ID, r.ID))
		}
		last[r.boot] = r
	}
	return notes
}

// valid reports whether a level has a logarithm.
func valid(x float64) bool { return x > 0 && !math.IsInf(x, 0) }
