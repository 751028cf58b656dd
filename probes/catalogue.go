package probes

import (
	"fmt"
	"strings"
	"time"
)

// kindOfProbe is one row of the catalogue.
type kindOfProbe struct {
	name       string
	controller string // whose hierarchy the watched cgroups are of; "" for one that watches processes
	sees       string // one sentence
	on         map[Rung]func(*session, Options) error
	files      []counter // of which the first that a cgroup has is polled
}

// has reports whether the probe has a way to attach on a rung.
func (k *kindOfProbe) has(rung Rung) bool {
	if rung == Files {
		return len(k.files) > 0
	}
	return k.on[rung] != nil
}

// traced are the rungs of a probe that looks at tracepoints with arguments of the kernel's types.
func traced(open func(*session, Options) error) map[Rung]func(*session, Options) error {
	return map[Rung]func(*session, Options) error{TPBTF: open, RawTracepoint: open}
}

var catalogue = []*kindOfProbe{
	{
		name: "throttle", controller: "cpu", sees: "every time that the CPU limit of a cgroup stops its tasks on a CPU, and for how long",
		on: traced(func(s *session, _ Options) error { return openThrottle(s) }),
		files: []counter{
			{Throttled, "cpu.stat", "nr_throttled", "throttled_usec", time.Microsecond}, // v2
			{Throttled, "cpu.stat", "nr_throttled", "throttled_time", time.Nanosecond},  // v1
		},
	},
	{
		name: "oom", controller: "memory", sees: "every task that the OOM killer ends: its cgroup and that of the task that hit the limit, its memory, and how long it took to go",
		on: traced(func(s *session, _ Options) error { return openOOM(s) }),
		files: []counter{
			{OOMKill, "memory.events", "oom_kill", "", 0},
			{OOMKill, "memory.oom_control", "oom_kill", "", 0},
		},
	},
	{
		name: "pids", controller: "pids", sees: "every process or thread that was not made, since there were too many",
		on: map[Rung]func(*session, Options) error{
			FEntry:        func(s *session, _ Options) error { return openPidsFunction(s) },
			TPBTF:         func(s *session, _ Options) error { return openPids(s) },
			RawTracepoint: func(s *session, _ Options) error { return openPids(s) },
		},
		files: []counter{{ForkRefused, "pids.events", "max", "", 0}},
	},
	{
		name: "runq", controller: "cpu", sees: "how long tasks that can run wait for a CPU, and who had it meanwhile",
		on:    traced(func(s *session, o Options) error { return openRunq(s, o.Slow) }),
		files: []counter{{Waited, "cpu.pressure", "", "some total", time.Microsecond}},
	},
	{
		name: "reclaim", controller: "memory", sees: "every time that a task has to free memory itself before it gets some, or sleeps since its cgroup is above memory.high",
		on:    traced(func(s *session, _ Options) error { return openReclaim(s) }),
		files: []counter{{Reclaimed, "memory.pressure", "", "some total", time.Microsecond}},
	},
	{
		name: "start", sees: "the steps of a container's start: clone, namespaces, mounts, exec, each with its length",
		on: map[Rung]func(*session, Options) error{
			FEntry:        func(s *session, o Options) error { return openStartFunctions(s, o.Root) },
			TPBTF:         func(s *session, o Options) error { return openStart(s, o.Root) },
			RawTracepoint: func(s *session, o Options) error { return openStart(s, o.Root) },
		},
	},
}

// Names lists the probes.
func Names() []string {
	names := make([]string, len(catalogue))
	for i, k := range catalogue {
		names[i] = k.name
	}
	return names
}

// Describe says what a probe sees, in one sentence, and whose controller's cgroups it watches:
// "" for one that watches processes.
func Describe(name string) (sees, controller string, err error) {
	k, err := find(name)
	if err != nil {
		return "", "", err
	}
	return k.sees, k.controller, nil
}

func find(name string) (*kindOfProbe, error) {
	for _, k := range catalogue {
		if k.name == name {
			return k, nil
		}
	}
	return nil, fmt.Errorf("there is no probe %q; there are %s", name, strings.Join(Names(), ", "))
}
