package sentinel

import "testing"

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
