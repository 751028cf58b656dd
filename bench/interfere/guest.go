package interfere

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"

	"cellwall/bench"
	"cellwall/bench/load"
	"cellwall/runtime/cgroup"
	"cellwall/runtime/cleanup"
	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
)

// guest is a container with a victim or an antagonist in it.
type guest struct {
	*bench.Guest
	group  *cgroup.Group // a view of its own
	limits string        // in words
}

// launch starts a load in a container of the fence, with what it needs. shaped is of its link.
func (h *Host) launch(ctx context.Context, s Setting, n needs, means func(Means) func(*Host) (spec.Edits, error), shaped bool, undo *cleanup.Stack, name string, args ...string) (*guest, error) {
	var edits spec.Edits
	for _, m := range s.Means {
		edit := means(m)
		if edit == nil {
			continue
		}
		more, err := edit(h)
		if err != nil {
			return nil, err
		}
		edits = append(edits, more...)
	}
	if n.disk {
		if h.disk == "" {
			return nil, noDisk()
		}
		edits = append(edits, spec.WithMount(spec.Bind(h.disk, "/"+load.Data)))
	}
	launched, _, err := h.env(s.Rung, h.fence).Launch(ctx, name, args, edits...)
	if err != nil {
		return nil, err
	}
	undo.Push("end "+name, launched.Close)
	g := &guest{Guest: launched}
	if g.group, err = h.within(launched.Container.Pid(), h.fence); err != nil {
		return nil, err
	}
	undo.Push("close a view of a cgroup", g.group.Close)
	limits, err := g.group.Limits()
	if err != nil {
		return nil, err
	}
	all, err := h.fence.Limits()
	if err != nil {
		return nil, err
	}
	if limits.CPUs == all.CPUs {
		limits.CPUs = "" // it has those of the fence
	}
	g.limits = words(limits)
	if n.link {
		if err := h.wire.connectNear(launched.Container.Pid(), shaped); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// within returns a view of the groups of process pid, which have to be in a fence: what no fence holds is
// never asked to work.
func (h *Host) within(pid int, fence *cgroup.Group) (*cgroup.Group, error) {
	if pid <= 0 {
		return nil, kernel.Unsupported("%s does not tell the process of its container", h.Runtime.Name())
	}
	g, err := cgroup.Open(pid)
	if err != nil {
		return nil, err
	}
	for _, controller := range []string{"memory", "pids"} {
		if got, want := g.Path(controller), fence.Path(controller); !strings.HasPrefix(got, want+"/") {
			return nil, errors.Join(kernel.Unsupported("%s puts its container into cgroup %q and not below the fence %q", h.Runtime.Name(), got, want), g.Close())
		}
	}
	return g, nil
}

// duel is a pair under one setting: both containers, alive, of which only the one whose turn it is works.
type duel struct {
	setting            Setting
	victim, antagonist *guest
	undo               cleanup.Stack
}

func (h *Host) newDuel(ctx context.Context, p Pair, s Setting, window time.Duration) (_ *duel, err error) {
	d := &duel{setting: s}
	defer d.undo.OnError(&err)
	if !s.Rung.Covers(spec.Namespaces) {
		return nil, kernel.Unsupported("a neighbour at %s: its namespaces are the host's", s.Rung)
	}
	shaped := false
	for _, m := range s.Means {
		if err := h.place.Tree.Require(m.Controllers...); err != nil {
			return nil, err
		}
		shaped = shaped || m.shaped
	}
	if shaped && !p.Antagonist.needs.link {
		return nil, kernel.Unsupported("a limit of bandwidth is none for %s, which uses no network", p.Antagonist.Name)
	}
	if p.Victim.needs.link || p.Antagonist.needs.link {
		if err := h.link(ctx); err != nil {
			return nil, err
		}
	}
	args := []string{p.Victim.Name}
	if p.Victim.needs.link {
		args = append(args, h.wire.at(load.EchoPort))
	}
	if d.victim, err = h.launch(ctx, s, p.Victim.needs, func(m Means) func(*Host) (spec.Edits, error) { return m.victim }, false, &d.undo, load.Victim, args...); err != nil {
		return nil, fmt.Errorf("victim %s: %w", p.Victim.Name, err)
	}
	w := p.Antagonist.work(runtime.NumCPU())
	w.Name, w.Lasts = p.Antagonist.Name, lasts(window)
	if p.Antagonist.needs.link {
		w.Address = h.wire.at(portFor(w.Name))
	}
	text, err := json.Marshal(w)
	if err = errors.Join(err, w.Check()); err != nil {
		return nil, err
	}
	d.antagonist, err = h.launch(ctx, s, p.Antagonist.needs, func(m Means) func(*Host) (spec.Edits, error) { return m.antagonist }, shaped, &d.undo, load.Antagonist, string(text))
	if err != nil {
		return nil, fmt.Errorf("antagonist %s: %w", p.Antagonist.Name, err)
	}
	return d, nil
}

// words says limits for a person. What has none is left out.
func words(l cgroup.Limits) string {
	var all []string
	add := func(set bool, format string, args ...any) {
		if set {
			all = append(all, fmt.Sprintf(format, args...))
		}
	}
	add(l.CPUMax.Quota > 0, "cpu %s in %s", l.CPUMax.Quota, l.CPUMax.Period)
	add(l.CPUWeight > 0 && l.CPUWeight != 100, "cpu weight %d", l.CPUWeight)
	add(l.CPUs != "", "cpus %s", l.CPUs)
	add(l.MemoryMax > 0, "memory %d MiB", l.MemoryMax/mib)
	add(l.MemoryLow > 0, "memory low %d MiB", l.MemoryLow/mib)
	add(l.PidsMax > 0, "tasks %d", l.PidsMax)
	for _, m := range l.IOMax {
		add(m.Wbps > 0, "%d MiB/s written to %d:%d", m.Wbps/mib, m.Major, m.Minor)
		add(m.Wiops > 0, "%d writes/s to %d:%d", m.Wiops, m.Major, m.Minor)
	}
	return strings.Join(all, ", ")
}
