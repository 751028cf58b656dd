package load

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Antagonist is the act that makes trouble: its argument is a Work as JSON. A request with N 1 starts it,
// and is answered when all its workers are at work; one with N 0 stops it, and is answered when they and
// what they made are gone.
const Antagonist = "antagonist"

// Work is what an antagonist does, and how much of it at most: each bound is its own, whatever else limits
// it. All have to be given.
type Work struct {
	Name    string        `json:"name"`    // of Antagonists
	Workers int           `json:"workers"` // processes
	Count   int64         `json:"count"`   // operations of each worker, and how often all together are started again
	Bytes   int64         `json:"bytes"`   // in memory or on disk, of each worker; for those on the network all that it moves
	Rate    int64         `json:"rate"`    // bytes a second, where Antagonists says so
	Lasts   time.Duration `json:"lasts"`
	Address string        `json:"address,omitempty"` // of Far
}

// What no antagonist may be told to exceed.
const (
	mostWorkers = 32
	mostCount   = 1 << 32
	mostBytes   = 1 << 30 // of all workers together
	mostLasts   = time.Minute
)

// Check refuses work without bounds, and with such as would hurt the host.
func (w *Work) Check() error {
	all := antagonists()
	at := slices.IndexFunc(all, func(a antagonist) bool { return a.name == w.Name })
	switch {
	case at < 0:
		return fmt.Errorf("antagonist %.40q is none of %s", w.Name, strings.Join(Antagonists(), ", "))
	case w.Workers < 1 || w.Workers > mostWorkers:
		return fmt.Errorf("antagonist %s: %d workers: want 1 to %d", w.Name, w.Workers, mostWorkers)
	case w.Count < 1 || w.Count > mostCount:
		return fmt.Errorf("antagonist %s: a count of %d: want 1 to %d", w.Name, w.Count, int64(mostCount))
	case w.Bytes < 1 || w.Bytes > mostBytes/int64(w.Workers):
		return fmt.Errorf("antagonist %s: %d bytes for each of %d workers: want 1 to %d for all", w.Name, w.Bytes, w.Workers, mostBytes)
	case w.Lasts < 1 || w.Lasts > mostLasts:
		return fmt.Errorf("antagonist %s: it lasts %s: want up to %s", w.Name, w.Lasts, mostLasts)
	case all[at].paced && w.Rate < 1:
		return fmt.Errorf("antagonist %s: a rate of %d bytes a second: want 1 or more", w.Name, w.Rate)
	}
	return nil
}

// antagonist is a kind of trouble.
type antagonist struct {
	name  string
	paced bool // it keeps to a rate
	work  func(*worker) error
}

func antagonists() []antagonist {
	return []antagonist{
		{name: "cpu", work: spinOn},
		{name: "memory", work: hold},
		{name: "cache", work: fillCache},
		{name: "fork", work: breed},
		{name: "write", work: writeOn},
		{name: "direct", work: writeDirect},
		{name: "fsync", work: syncOn},
		{name: "inodes", work: churn},
		{name: "send", paced: true, work: sendOn},
		{name: "receive", work: receiveOn},
	}
}

// Antagonists are the names of those that Antagonist knows.
func Antagonists() []string {
	var names []string
	for _, a := range antagonists() {
		names = append(names, a.name)
	}
	return names
}

// readWork reads and checks the argument of an act.
func readWork(args []string) (Work, error) {
	var w Work
	if len(args) == 0 {
		return w, errors.New("an antagonist is told its work")
	}
	if err := json.Unmarshal([]byte(args[0]), &w); err != nil {
		return w, fmt.Errorf("work %.60q: %w", args[0], err)
	}
	return w, w.Check()
}

// antagonise keeps to one thread: where no more can be made, Go must not want one.
func antagonise(args []string) int {
	runtime.GOMAXPROCS(1)
	runtime.LockOSThread() // and so workers die with us: PR_SET_PDEATHSIG is about the thread
	say := json.NewEncoder(os.Stdout)
	w, err := readWork(args)
	var c *crew
	if err == nil {
		c, err = newCrew(w)
	}
	if err != nil {
		_ = say.Encode(Reply{Error: err.Error()})
		return 1
	}
	defer c.stop() //nolint:errcheck // nobody listens any more
	if say.Encode(Reply{Ready: 1}) != nil {
		return 1
	}
	for {
		r, ok := c.next()
		if !ok {
			return 0
		}
		var a Reply
		if r.N > 0 {
			err = c.start()
		} else {
			a, err = c.stop()
		}
		if err != nil {
			a = Reply{Error: err.Error()}
		}
		if say.Encode(a) != nil {
			return 1
		}
	}
}
