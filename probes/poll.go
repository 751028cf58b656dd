package probes

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"cellwall/runtime/kernel"
)

// counter is what a file of a cgroup counts.
type counter struct {
	kind   Kind
	file   string
	count  string // key of a number of times; "" if the file has none
	length string // key of a time; "" if the file has none
	unit   time.Duration
}

// poller stands in for programs: it reads counters, and makes an event of what they have grown by.
// Single events, tasks and CPUs it cannot tell.
type poller struct {
	counters []counter
	every    time.Duration
	mu       sync.Mutex
	groups   []*polled
}

type polled struct {
	dir     string
	id      uint64
	counter counter
	first   reading
	last    reading
}

// reading is what a counter said.
type reading struct {
	count  uint64
	length time.Duration
}

func (k *kindOfProbe) polls(o Options) (*poller, error) {
	if len(k.files) == 0 {
		return nil, kernel.Unsupported("no file of a cgroup tells it")
	}
	if len(o.Cgroups) == 0 {
		return nil, kernel.Unsupported("files can only be polled for named cgroups")
	}
	p := &poller{counters: k.files, every: o.Every}
	if p.every <= 0 {
		p.every = 100 * time.Millisecond
	}
	for _, dir := range o.Cgroups {
		if err := p.add(dir); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (p *poller) add(dir string) error {
	id, err := CgroupID(dir)
	if err != nil {
		return err
	}
	for _, c := range p.counters {
		r, err := c.read(dir)
		if errors.Is(err, kernel.ErrNotSupported) {
			continue
		}
		if err != nil {
			return err
		}
		p.mu.Lock()
		p.groups = append(p.groups, &polled{dir: dir, id: id, counter: c, first: r, last: r})
		p.mu.Unlock()
		return nil
	}
	return kernel.Unsupported("%s has no %s", dir, p.counters[0].file)
}

// read reads a counter. The error wraps kernel.ErrNotSupported if the cgroup does not have it.
func (c counter) read(dir string) (reading, error) {
	text, err := os.ReadFile(filepath.Join(dir, c.file))
	if errors.Is(err, fs.ErrNotExist) {
		return reading{}, kernel.Unsupported("%s has no %s", dir, c.file)
	}
	if err != nil {
		return reading{}, fmt.Errorf("poll cgroup: %w", err)
	}
	var r reading
	if c.count != "" {
		n, ok := keyed(string(text), c.count)
		if !ok {
			return reading{}, kernel.Unsupported("%s of %s has no %s", c.file, dir, c.count)
		}
		r.count = n
	}
	if c.length != "" {
		n, ok := keyed(string(text), c.length)
		if !ok {
			return reading{}, kernel.Unsupported("%s of %s has no %s", c.file, dir, c.length)
		}
		r.length = time.Duration(n) * c.unit // at most some years
	}
	return r, nil
}

// keyed finds a number in a file of lines "key value" or, for a key of two words, of lines "key
// ... key=value".
func keyed(text, key string) (uint64, bool) {
	first, second, nested := strings.Cut(key, " ")
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != first {
			continue
		}
		if !nested {
			n, err := strconv.ParseUint(words[1], 10, 64)
			return n, err == nil
		}
		for _, w := range words[1:] {
			if value, ok := strings.CutPrefix(w, second+"="); ok {
				n, err := strconv.ParseUint(value, 10, 64)
				return n, err == nil
			}
		}
	}
	return 0, false
}

// growth reads all counters again and returns an event for each that has grown. A cgroup that is
// gone grows no more.
func (p *poller) growth(now time.Time) ([]Event, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var events []Event
	for _, g := range p.groups {
		r, err := g.counter.read(g.dir)
		if errors.Is(err, kernel.ErrNotSupported) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if r != g.last {
			events = append(events, Event{
				Kind: g.counter.kind, At: now, Cgroup: g.id, Watched: g.id, Count: r.count - g.last.count, Length: r.length - g.last.length,
			})
			g.last = r
		}
	}
	return events, nil
}

func (p *poller) events(ctx context.Context) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		tick := time.NewTicker(p.every)
		defer tick.Stop()
		for done := false; !done; {
			now := time.Now()
			select {
			case now = <-tick.C:
			case <-ctx.Done():
				done = true // once more, for what has happened since the last tick
			}
			events, err := p.growth(now)
			if err != nil {
				yield(Event{}, err)
				return
			}
			for _, e := range events {
				if !yield(e, nil) {
					return
				}
			}
		}
	}
}

func (g *polled) total() Total {
	return Total{Cgroup: g.id, Count: g.last.count - g.first.count, Length: g.last.length - g.first.length}
}

// total reads the counters of one cgroup again.
func (p *poller) total(id uint64) (Total, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.IndexFunc(p.groups, func(g *polled) bool { return g.id == id })
	if i < 0 {
		return Total{}, fmt.Errorf("cgroup %d is not watched", id)
	}
	g := p.groups[i]
	r, err := g.counter.read(g.dir)
	if err != nil {
		return Total{}, err
	}
	return Total{Cgroup: id, Count: r.count - g.first.count, Length: r.length - g.first.length}, nil
}

func (p *poller) totals() []Total {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []Total
	for _, g := range p.groups {
		if t := g.total(); t.Count > 0 || t.Length > 0 {
			all = append(all, t)
		}
	}
	return all
}
