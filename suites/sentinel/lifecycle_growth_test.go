package sentinel

import (
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

func TestGrowth(t *testing.T) {
	before := manager{descriptors: 9, threads: 12, memory: 4 << 20}
	for _, c := range []struct {
		name   string
		change func(*manager)
		want   bool
	}{
		{"nothing", func(*manager) {}, false},
		{"less of all", func(m *manager) { m.descriptors, m.threads, m.memory = 8, 11, 1<<20 }, false},
		{"a descriptor", func(m *manager) { m.descriptors++ }, true},
		{"as many threads as Go may take", func(m *manager) { m.threads += cycles / 2 }, false},
		{"a thread in each cycle", func(m *manager) { m.threads += cycles }, true},
		{"what the judge keeps", func(m *manager) { m.memory += cycles * memoryLeak }, false},
		{"memory in each cycle", func(m *manager) { m.memory += cycles * (memoryLeak + 1) }, true},
	} {
		after := before
		c.change(&after)
		if f := growth(before, after); f.Breached != c.want {
			t.Errorf("%s: %+v", c.name, f)
		}
	}
}

// TestOccupy: no idle thread is left, and so one that is kept is one more.
func TestOccupy(t *testing.T) {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	for range 24 { // each of which blocks a thread, and leaves it idle
		wait.Go(func() { _, _ = unix.Read(pipe[0], make([]byte, 1)) })
	}
	for n := 0; n < 24; { // that many are blocked
		var err error
		if n, err = countThreads(); err != nil {
			t.Fatal(err)
		}
	}
	_ = unix.Close(pipe[1])
	wait.Wait()
	_ = unix.Close(pipe[0])
	stop := make(chan struct{})
	if err := occupy(stop); err != nil {
		t.Fatal(err)
	}
	before, err := countThreads()
	if err != nil {
		t.Fatal(err)
	}
	const kept = 8
	for range kept {
		keepThread(stop)
	}
	after, err := countThreads()
	if err != nil || after-before < kept/2 { // the runtime may start some of its own beside it
		t.Errorf("threads went from %d to %d, %v", before, after, err)
	}
	close(stop)
	for n := after; err == nil && n > before; { // another run of the test does not see them go
		n, err = countThreads()
	}
}
