package driver

import (
	"context"
	"runtime/debug"

	"cellwall/runtime/core"
	"cellwall/runtime/spec"
)

// CoreName is the name of our own runtime.
const CoreName = "core"

type coreRuntime struct{ launcher *core.Launcher }

// NewCore returns our own runtime. The launcher stays the caller's.
func NewCore(l *core.Launcher) Runtime { return coreRuntime{l} }

func (coreRuntime) Name() string { return CoreName }

// Version is that of this binary.
func (coreRuntime) Version(context.Context) (string, error) { return OwnVersion(), nil }

// OwnVersion is the version of this binary, as the module system knows it.
func OwnVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

// Floor is the ground: the core makes every rung.
func (coreRuntime) Floor() spec.Rung { return spec.Bare }

// Lacks nothing.
func (coreRuntime) Lacks() spec.Edits { return nil }

func (coreRuntime) Expresses(b Bundle) error { return core.Validate(b.Spec) }

func (r coreRuntime) Create(ctx context.Context, b Bundle) (Container, error) {
	o := core.Options{
		Spec: b.Spec, Bundle: b.Dir, Omit: b.Omit, From: b.From, Prepare: b.Prepare,
		Stdin: b.Stdin, Stdout: b.Stdout, Stderr: b.Stderr,
	}
	if b.Parent != nil {
		o.Parent = b.Parent // a nil pointer would be a Groups that is not nil
	}
	c, err := r.launcher.Create(ctx, b.ID, o)
	if err != nil {
		return nil, err
	}
	return coreContainer{c}, nil
}

type coreContainer struct{ *core.Container }

func (c coreContainer) Delete(context.Context) error { return c.Container.Delete() }

func (c coreContainer) Wait(ctx context.Context) (Status, error) {
	s, err := c.Container.Wait(ctx)
	return Status{Code: s.Code, Signal: s.Signal, CPU: s.CPU}, err
}
