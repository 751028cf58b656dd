package load_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cellwall/bench/load"
)

// work is small work of an antagonist, with all bounds.
func work(name string) load.Work {
	return load.Work{Name: name, Workers: 2, Count: 1 << 30, Bytes: 1 << 20, Rate: 1 << 20, Lasts: 30 * time.Second}
}

func antagonist(t *testing.T, dir string, w load.Work) *running {
	t.Helper()
	text, err := json.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	r := start(t, dir, load.Antagonist, string(text))
	if a := r.hear(t); a.Ready != 1 || a.Error != "" {
		t.Fatalf("it says %+v", a)
	}
	return r
}

// local are those that need nobody at the other end of a link.
func local() []string {
	return []string{"cpu", "memory", "cache", "fork", "write", "direct", "fsync", "inodes"}
}

// tasks is how many each worker of the antagonist fork makes here: no cgroup bounds it.
const tasks = 8

func TestAntagonistsStartAndStop(t *testing.T) {
	dir := root(t)
	for _, name := range local() {
		t.Run(name, func(t *testing.T) {
			w := work(name)
			if name == "fork" {
				w.Count = tasks
			}
			r := antagonist(t, dir, w)
			for range 2 { // it can be started again
				if a := r.ask(t, load.Request{N: 1}); a.Error != "" {
					if strings.Contains(a.Error, "no direct writes") || strings.Contains(a.Error, "operation not supported") {
						t.Skip(a.Error)
					}
					t.Fatal(a.Error)
				}
				a := r.ask(t, load.Request{})
				if name == "fork" && a.Operations != int64(w.Workers*tasks) {
					t.Errorf("it made %d tasks, its bound is %d for each of %d workers", a.Operations, tasks, w.Workers)
				}
				if a.Error != "" || a.Operations < 1 || a.Seconds <= 0 || a.CPU <= 0 {
					t.Errorf("it did %+v", a)
				}
			}
			left, err := os.ReadDir(filepath.Join(dir, load.Data))
			if err != nil || len(left) > 0 {
				t.Errorf("it has left %v, %v", left, err)
			}
		})
	}
}

func TestAntagonistsStopInTime(t *testing.T) {
	dir := root(t)
	w := work("cpu")
	w.Lasts = time.Second // a loaded host takes some tenths until both workers are at work
	r := antagonist(t, dir, w)
	begun := time.Now()
	if a := r.ask(t, load.Request{N: 1}); a.Error != "" {
		t.Fatal(a.Error)
	}
	ended(t, r)
	if took := time.Since(begun); took < w.Lasts {
		t.Errorf("they ended after %s of %s", took, w.Lasts)
	}
}

// ended waits until an antagonist has no workers any more: it can be started anew, which is refused before.
func ended(t *testing.T, r *running) {
	t.Helper()
	for {
		a := r.ask(t, load.Request{N: 2})
		if a.Error == "" {
			return
		}
		if a.Error != "it is at work" {
			t.Fatal(a.Error)
		}
	}
}

func TestWorkWithoutBoundsIsRefused(t *testing.T) {
	for want, change := range map[string]func(*load.Work){
		`"moon" is none of cpu, memory`:                   func(w *load.Work) { w.Name = "moon" },
		"0 workers: want 1 to 32":                         func(w *load.Work) { w.Workers = 0 },
		"33 workers: want 1 to 32":                        func(w *load.Work) { w.Workers = 33 },
		"a count of 0: want 1 to":                         func(w *load.Work) { w.Count = 0 },
		"0 bytes for each of 2 workers: want 1 to":        func(w *load.Work) { w.Bytes = 0 },
		"536870913 bytes for each of 2 workers: want 1 t": func(w *load.Work) { w.Bytes = 1<<29 + 1 },
		"it lasts 0s: want up to 1m0s":                    func(w *load.Work) { w.Lasts = 0 },
		"it lasts 1m0.000000001s: want up to 1m0s":        func(w *load.Work) { w.Lasts = time.Minute + 1 },
		"a rate of 0 bytes a second: want 1 or more":      func(w *load.Work) { w.Name, w.Rate = "send", 0 },
	} {
		w := work("cpu")
		change(&w)
		if err := w.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", w, err, want)
		}
	}
	for _, name := range load.Antagonists() {
		if w := work(name); w.Check() != nil {
			t.Errorf("%+v: %v", w, w.Check())
		}
	}
	refused(t, root(t), "0 workers", load.Antagonist, `{"name":"cpu"}`)
}
