package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/bench/load"
	"cellwall/reports/record"
	"cellwall/runtime/cleanup"
	"cellwall/runtime/driver"
	"cellwall/runtime/rootfs"
	"cellwall/runtime/spec"
)

// processRows are whole command lines, as a person types them, with nothing of ours between.
func processRows() []*Benchmark {
	return []*Benchmark{
		{
			Name: "process.run", Unit: record.Seconds, Better: record.Lower, Floor: spec.Namespaces,
			Doc:  "the time of the whole command that runs a bundle of the rung: cellwall run, runc run, crun run",
			Open: openProcess(nil), Control: measuring(toExit),
		},
		{
			Name: "process.minimal", Unit: record.Seconds, Better: record.Lower, Floor: spec.Namespaces,
			Doc:  "the time of the whole command that runs the container of limit.c, whatever the rung",
			Open: openProcess(minimal), Control: measuring(toExit), Limit: openLimitProcess,
		},
	}
}

// process runs a command for each sample.
type process struct {
	*Env
	terminal *terminal
	args     func() []string
	input    string
	undo     cleanup.Stack
}

func openProcess(change func(*Env) spec.Edit) func(context.Context, *Env) (Sampler, error) {
	return func(_ context.Context, e *Env) (_ Sampler, err error) {
		p := &process{Env: e}
		defer p.undo.OnError(&err)
		var edits []spec.Edit
		if change != nil {
			edits = append(edits, change(e))
		}
		b, err := e.bundle([]string{"/" + load.True}, edits...)
		if err != nil {
			return nil, err
		}
		dir, err := os.MkdirTemp(e.Dir, "bundle-")
		if err != nil {
			return nil, fmt.Errorf("make a bundle: %w", err)
		}
		p.undo.Push("remove the bundle", func() error { return rootfs.Remove(dir) })
		if err := p.commands(dir, b.Spec); err != nil {
			return nil, err
		}
		if p.terminal, err = e.newTerminal(); err != nil {
			return nil, err
		}
		p.undo.Push("leave the mount namespace", p.terminal.close)
		return p, nil
	}
}

// commands writes the bundle and says how it is run.
func (p *process) commands(dir string, s *specs.Spec) error {
	s.Version = "1.0.0" // every runtime knows it
	if p.Runtime.Name() == driver.CoreName {
		self, err := p.program()
		if err != nil {
			return err
		}
		p.args = func() []string { return []string{self, "run", "--bundle", dir} }
		return writeConfig(dir, s)
	}
	path, err := p.ociProgram()
	if err != nil {
		return err
	}
	s.Linux.CgroupsPath = filepath.Join(p.Fence.Hierarchies()[0].Below, "process")
	state := filepath.Join(dir, "state")
	p.args = func() []string { return []string{path, "--root", state, "run", "--bundle", dir, p.name()} }
	return writeConfig(dir, s)
}

func writeConfig(dir string, s *specs.Spec) error {
	raw, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("write config.json: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), raw, 0o600); err != nil {
		return fmt.Errorf("write config.json: %w", err)
	}
	return nil
}

// openLimitProcess runs limit.c for one container each.
func openLimitProcess(_ context.Context, e *Env) (Sampler, error) {
	t, err := e.newTerminal()
	if err != nil {
		return nil, err
	}
	args := append([]string{e.Limit}, (&limit{Env: e}).args()...)
	p := &process{Env: e, terminal: t, input: "\n", args: func() []string { return args }}
	p.undo.Push("leave the mount namespace", t.close)
	return p, nil
}

func (p *process) Sample(ctx context.Context) (Value, error) {
	args := p.args()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stdin = strings.NewReader(p.input)
	m := begin(p.delay(1))
	err := p.terminal.run(cmd)
	return m.end(), err
}

func (p *process) Close() error { return p.undo.Close() }
