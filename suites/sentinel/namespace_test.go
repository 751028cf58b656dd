package sentinel

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/suites/attack"
)

// TestGuardSeesTheHost: a container that is in the host's own namespace is breached, though the
// bait that lies in the stand-in is untouched; and one that is not is the witness's to judge.
func TestGuardSeesTheHost(t *testing.T) {
	ours, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, host string
		breached   bool
	}{
		{"on the host", ours, true},
		{"elsewhere", "net:[0]", false},
	} {
		n := &standIn{
			Process: &Process{cmd: &exec.Cmd{Process: &os.Process{Pid: os.Getpid()}}},
			kind:    specs.NetworkNamespace, name: "net", host: c.host,
		}
		prepared := false
		w := n.guard(&Watch{
			Ready: func(context.Context, *Subject) error { prepared = true; return nil },
			Look:  func(context.Context, *Subject, attack.Record) (Finding, error) { return Finding{}, nil },
		})
		s := &Subject{PID: os.Getpid()}
		err := w.Ready(t.Context(), s)
		var seen *Seen
		if early := errors.As(err, &seen) && seen.Breached; early != c.breached || err != nil != c.breached || prepared == c.breached {
			t.Errorf("%s: breached without a go %v, prepared %v, %v", c.name, early, prepared, err)
		}
		with := specs.Spec{Linux: &specs.Linux{Namespaces: []specs.LinuxNamespace{{Type: specs.NetworkNamespace}}}}
		for _, e := range w.Fence {
			e.Apply(&with)
		}
		without := specs.Spec{Linux: &specs.Linux{}}
		for _, e := range w.Fence {
			e.Apply(&without)
		}
		if len(with.Linux.Namespaces) != 1 || with.Linux.Namespaces[0].Path != "" || len(without.Linux.Namespaces) != 1 || without.Linux.Namespaces[0].Path == "" {
			t.Errorf("%s: fenced to %v and %v", c.name, with.Linux.Namespaces, without.Linux.Namespaces)
		}
	}
}
