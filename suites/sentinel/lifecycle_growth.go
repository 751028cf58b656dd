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
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return m, fmt.Errorf("count threads: %w", err)
	}
	// Twice, since what has a finalizer goes in the second round.
	runtime.GC()
	runtime.GC()
	var heap runtime.MemStats
	runtime.ReadMemStats(&heap)
	return manager{len(fds), len(tasks), int(heap.HeapAlloc)}, nil // no heap is so large
}

// leaks are what a careless manager keeps of a container.
func (s *Stage) leaks() func() error {
	stop := make(chan struct{})
	s.Undo.Push("end the threads left on purpose", func() error { close(stop); return nil })
	var kept [][]byte
	s.Undo.Push("forget the memory left on purpose", func() error { kept = nil; return nil })
	return func() error {
		if s.Has(LeavesThread) {
			started := make(chan struct{})
			go func() {
				runtime.LockOSThread() // and never unlock: the thread ends with the goroutine
				close(started)
				<-stop
			}()
			<-started
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
	leak := s.leaks()
	return &Watch{Gone: func(ctx context.Context) (Finding, error) {
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
