package judge

import (
	"errors"
	"sync"

	"cellwall/probes"
	"cellwall/runtime/kernel"
)

// seconds are the probes of a run, each attached when a row first needs it and shared by all
// trials. They are safe for concurrent use.
type seconds struct {
	mu   sync.Mutex
	open map[string]attached
}

type attached struct {
	probe *probes.Probe
	err   error
}

// inKernel are the rungs on which a probe is a witness of its own: the files of a cgroup are the
// other one already.
func inKernel() []probes.Rung {
	return []probes.Rung{probes.FEntry, probes.TPBTF, probes.RawTracepoint}
}

// probe attaches a probe, or says why the kernel grants none.
func (r *Run) probe(name string) (*probes.Probe, error) {
	r.seconds.mu.Lock()
	defer r.seconds.mu.Unlock()
	if a, ok := r.seconds.open[name]; ok {
		return a.probe, a.err
	}
	_, controller, err := probes.Describe(name)
	if err != nil {
		return nil, err
	}
	p, err := probes.Open(name, probes.Options{Cgroups: []string{r.Fence.Path(controller)}, Each: true, Rungs: inKernel(), Totals: true})
	if err == nil {
		r.Undo.Push("close probe "+name, p.Close)
	}
	if r.seconds.open == nil {
		r.seconds.open = map[string]attached{}
	}
	r.seconds.open[name] = attached{p, err}
	return p, err
}

// attach attaches what a row needs before anything of it begins, so that no descriptor of a probe
// is taken for something that a runtime has left. That the kernel grants none is no error.
func (r *Run) attach(names []string) error {
	for _, name := range names {
		if _, err := r.probe(name); err != nil && !errors.Is(err, kernel.ErrNotSupported) {
			return err
		}
	}
	return nil
}
