package interfere

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"cellwall/bench/load"
)

// TestOrderIsABBA: each side of each setting has two turns, the order is the same backwards, and both sides
// of a setting stand beside each other.
func TestOrderIsABBA(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2)) // an order
	firsts := map[turn]int{}
	for range 400 {
		const duels = 3
		turns := order(random, duels)
		count := map[turn]int{}
		for i, x := range turns {
			count[x]++
			if back := turns[len(turns)-1-i]; back != x {
				t.Fatalf("%v is not the same backwards", turns)
			}
			if other := turns[i^1]; other.duel != x.duel || other.beside == x.beside {
				t.Fatalf("%v: turn %d has the other side not beside it", turns, i)
			}
		}
		if len(count) != 2*duels || len(turns) != 4*duels {
			t.Fatalf("%v", turns)
		}
		firsts[turns[0]]++
	}
	if len(firsts) != 6 { // each of them with a chance of one in six
		t.Errorf("a block begins with one of %v only", firsts)
	}
	again := order(rand.New(rand.NewPCG(7, 0)), 4)                   // an order
	if !slices.Equal(again, order(rand.New(rand.NewPCG(7, 0)), 4)) { // an order
		t.Error("a seed has two orders")
	}
}

func TestSeedsDiffer(t *testing.T) {
	again := seedOf(1, "a")
	if again == seedOf(1, "b") || again == seedOf(2, "a") || again != seedOf(1, "a") {
		t.Error("a seed is of a run and a pair")
	}
}

func TestEnough(t *testing.T) {
	for _, c := range []struct {
		plan   Plan
		blocks int
		spent  time.Duration
		want   bool
	}{
		{Plan{Blocks: 8}, 7, time.Hour, false},
		{Plan{Blocks: 8}, 8, 0, true},
		{Plan{Blocks: 1}, 5, time.Hour, false}, // no interval
		{Plan{For: time.Minute}, 5, time.Hour, false},
		{Plan{For: time.Minute}, 6, 59 * time.Second, false},
		{Plan{For: time.Minute}, 6, time.Minute, true},
	} {
		r := &round{plan: &c.plan}
		if got := r.enough(c.blocks, c.spent, c.plan.For); got != c.want {
			t.Errorf("%+v after %d blocks and %s: %v", c.plan, c.blocks, c.spent, got)
		}
	}
}

func TestQueuesRunEmptyBetweenTurns(t *testing.T) {
	for _, a := range Antagonists() {
		drained := time.Duration(float64(linkQueue) / shapedRate * float64(time.Second))
		if got := settled(a); a.needs.link != (got > drained) || got > time.Second {
			t.Errorf("%s: %s, a queue runs empty in %s", a.Name, got, drained)
		}
	}
}

func TestASideKeepsAllOfItsTurns(t *testing.T) {
	var s side
	s.add(load.Reply{Latencies: []int64{1000, 9000}, Unserved: 1, Seconds: 0.25})
	s.add(load.Reply{Latencies: []int64{5000, 3000}, Unserved: 2, Seconds: 0.5})
	kept, err := s.record()
	if err != nil {
		t.Fatal(err)
	}
	want := [][2]int64{{1000, 1}, {3000, 1}, {5000, 1}, {9000, 1}}
	for i, c := range kept.Latencies.Counts { // to three digits
		if i >= len(want) || c[1] != want[i][1] || c[0] > want[i][0] || c[0] < want[i][0]*997/1000 {
			t.Errorf("%v, want %v", kept.Latencies.Counts, want)
			break
		}
	}
	if kept.Latencies.Count() != 4 || kept.Median != 4e-6 || kept.Unserved != 3 || kept.Seconds != 0.75 {
		t.Errorf("%+v", kept)
	}
	if _, err := (&side{}).record(); err == nil {
		t.Error("a side of nothing is kept")
	}
	if _, err := (&side{latencies: []int64{int64(2 * time.Hour)}}).record(); err == nil {
		t.Error("a latency of two hours is kept")
	}
}
