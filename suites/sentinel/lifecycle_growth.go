package sentinel

import (
	"context"
	"fmt"
	"os"
	"runtime"
)

// Cycles of NoGrowth: the first are not counted, as what is kept for the next container is
// made in them.
const (
	warmUp = 2
	cycles = 6
	// memoryLeak is what a cycle may cost the heap, in bytes. The judge keeps some of each trial too.
	memoryLeak = 4 << 10
)

// manager is what the core's manager, which is this process, holds.
type manager struct{ descriptors, threads, memory int }

func readManager() (m manager, err error) {
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return m, fmt.Errorf("count descriptors: %w", err)
	}
	threads, err := countThreads()
	if err != nil {
		return m, err
	}
	// Twice, since what has a finalizer goes in the second round.
	runtime.GC()
	runtime.GC()
	var heap runtime.MemStats
	runtime.ReadMemStats(&heap)
	return manager{len(fds), threads, int(heap.HeapAlloc)}, nil // no heap is so large
}

func countThreads() (int, error) {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return 0, fmt.Errorf("count threads: %w", err)
	}
	return len(tasks), nil
}

// keepThread takes a thread away from the Go runtime until stop is closed.
func keepThread(stop <-chan struct{}) {
	started := make(chan struct{})
	go func() {
		runtime.LockOSThread() // and never unlock: the thread ends with the goroutine
		close(started)
		<-stop
	}()
	<-started
}

// occupy takes the threads that the Go runtime has idle until stop is closed: one that a container leaves
// behind would be one of them, and not be seen. A thread may be on its way to be idle: several in a row have to
// be new.
func occupy(stop <-chan struct{}) error {
	last, err := countThreads()
	for fresh := 0; err == nil && fresh < 4; {
		keepThread(stop)
		var n int
		if n, err = countThreads(); n > last {
			fresh++
		} else {
			fresh = 0
		}
		last = n
	}
	return err
}

// leaks are what a careless manager keeps of a container. Its threads are kept until stop is closed.
func (s *Stage) leaks(stop <-chan struct{}) func() error {
	var kept [][]byte
	s.Undo.Push("forget the memory left on purpose", func() error { kept = nil; return nil })
	return func() error {
		if s.Has(LeavesThread) {
			keepThread(stop)
		}
		if s.Has(LeavesMemory) {
			kept = append(kept, make([]byte, 4*memoryLeak))
		}
		if !s.Has(LeavesDescriptor) {
			return nil
		}
		f, err := os.Open(s.Dir)
		if err == nil {
			s.Undo.Push("close a descriptor left on purpose", f.Close)
		}
		return err
	}
}

// NoGrowth counts the descriptors, the threads and the memory of the manager over containers that
// come and go. The threads of a Go program are its runtime's affair, so only a growth with the
// containers counts.
func NoGrowth(s *Stage) (*Watch, error) {
	stop := make(chan struct{})
	s.Undo.Push("end the threads kept on purpose", func() error { close(stop); return nil })
	leak := s.leaks(stop)
	return &Watch{Gone: func(ctx context.Context) (Finding, error) {
		if err := occupy(stop); err != nil { // before the warm-up, in which what a container needs comes back
			return Finding{}, err
		}
		var before manager
		for i := range warmUp + cycles {
			if i == warmUp {
				var err error
				if before, err = readManager(); err != nil {
					return Finding{}, err
				}
			}
			if _, err := s.Launch(ctx, fmt.Sprintf("%s-again-%d", s.Name, i), &Watch{}); err != nil {
				return Finding{}, fmt.Errorf("run another container: %w", err)
			}
			if err := leak(); err != nil {
				return Finding{}, err
			}
		}
		after, err := readManager()
		if err != nil {
			return Finding{}, err
		}
		return growth(before, after), nil
	}}, nil
}

func growth(before, after manager) Finding {
	each := (after.memory - before.memory) / cycles
	return Finding{
		Breached: after.descriptors > before.descriptors ||
			after.threads-before.threads > cycles/2 || // Go may take one of those it has
			each > memoryLeak,
		Evidence: fmt.Sprintf("over %d containers descriptors went from %d to %d, threads from %d to %d, and each left %d bytes on the heap",
			cycles, before.descriptors, after.descriptors, before.threads, after.threads, each),
	}
}
