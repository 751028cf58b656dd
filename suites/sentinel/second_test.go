package sentinel

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"cellwall/probes"
	"cellwall/runtime/cgroup"
	"cellwall/runtime/kernel"
)

// A second witness that does not agree makes everything unclear; one that is not there is named.
func TestSecondWitness(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("loads BPF programs: needs root")
	}
	tree, err := cgroup.Find()
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close() //nolint:errcheck // nothing is left to undo
	g, err := tree.Create(fmt.Sprintf("%ssecond-%d", cgroup.Prefix, os.Getpid()), cgroup.Limits{Controllers: []string{"cpu", "memory", "pids"}})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close() //nolint:errcheck // it is empty
	s := &Stage{Probe: func(name string) (*probes.Probe, error) {
		_, controller, err := probes.Describe(name)
		if err != nil {
			return nil, err
		}
		p, err := probes.Open(name, probes.Options{Cgroups: []string{g.Path(controller)}, Each: true, Totals: true})
		if err == nil {
			t.Cleanup(func() { _ = p.Close() })
		}
		return p, err
	}}
	for _, c := range []struct {
		probe  string
		count  uint64
		length time.Duration
		says   string
		wrong  bool
	}{
		{"pids", 0, 0, "saw 0", false},
		{"pids", 1, 0, "saw 0, the cgroup's file says 1", true},
		{"oom", 2, 0, "saw 0, the cgroup's file says 2", true},
		{"throttle", 0, 0, "saw 0", false},
		{"throttle", 3, time.Second, "the cgroup's file says 1s", true},
		{"throttle", 1, 0, "saw 0, the cgroup's file says 1", true},
	} {
		second := s.second(c.probe)
		if errors.Is(second.why, kernel.ErrNotSupported) {
			t.Skip(second.why)
		}
		said, err := second.says(g, c.count, c.length)
		if err != nil {
			said = err.Error()
		}
		if (err != nil) != c.wrong || !strings.Contains(said, c.says) {
			t.Errorf("%+v: %q, %v", c, said, err)
		}
	}
	if said, err := (&Stage{}).second("pids").says(g, 7, 0); err != nil || !strings.Contains(said, "no probe pids is attached") {
		t.Errorf("without a probe: %q, %v", said, err)
	}
}
