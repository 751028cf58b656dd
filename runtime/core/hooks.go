package core

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// moment is when hooks of the OCI runtime-spec run on the host.
type moment int

const (
	createHooks  moment = iota // prestart and createRuntime: all is mounted, and the root is still the old one
	startedHooks               // poststart
	stoppedHooks               // poststop
)

func hooksAt(h *specs.Hooks, m moment) []specs.Hook {
	if h == nil {
		return nil
	}
	switch m {
	case createHooks:
		return append(append([]specs.Hook{}, h.Prestart...), h.CreateRuntime...) //nolint:staticcheck // deprecated, but still in bundles
	case startedHooks:
		return h.Poststart
	case stoppedHooks:
		return h.Poststop
	}
	return nil
}

// hooks runs the hooks of a moment with the container's state on their standard input. Their
// environment is only what the spec gives them: neither the launcher's nor the container's
// (CVE-2019-14271, CVE-2025-23266).
func (c *Container) hooks(ctx context.Context, m moment, pid int) error {
	var errs []error
	s := c.options.Spec
	for _, h := range hooksAt(s.Hooks, m) {
		state, err := json.Marshal(specs.State{
			Version: specs.Version, ID: c.id, Status: c.state, Pid: pid,
			Bundle: c.options.Bundle, Annotations: s.Annotations,
		})
		if err != nil {
			return fmt.Errorf("hook %s: %w", h.Path, err)
		}
		if err := runHook(ctx, h, timeLimit(h, m), state); err != nil {
			errs = append(errs, err)
			if m == createHooks {
				break // the container is not to be; later hooks run all, whatever fails
			}
		}
	}
	return errors.Join(errs...)
}

// maxHookOutput is how much of what a hook writes an error may hold, in bytes.
const maxHookOutput = 4 << 10

// limited keeps the start of what is written and drops the rest.
type limited struct {
	w    *bytes.Buffer
	left int
}

func (l *limited) Write(b []byte) (int, error) {
	n := min(len(b), l.left)
	l.left -= n
	l.w.Write(b[:n])
	return len(b), nil
}

// poststopTimeout is for poststop hooks that have no timeout of their own: no caller can end them.
const poststopTimeout = 30 * time.Second

// timeLimit is how long a hook may take, 0 for as long as the call that runs it.
func timeLimit(h specs.Hook, m moment) time.Duration {
	switch {
	case h.Timeout != nil:
		return time.Duration(*h.Timeout) * time.Second
	case m == stoppedHooks:
		return poststopTimeout
	}
	return 0
}

func runHook(ctx context.Context, h specs.Hook, limit time.Duration, state []byte) error {
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	var output bytes.Buffer
	cmd := exec.CommandContext(ctx, h.Path)
	if len(h.Args) > 0 {
		cmd.Args = h.Args
	}
	cmd.Env = append([]string{}, h.Env...) // never nil, which would mean ours
	cmd.Stdin = bytes.NewReader(state)
	cmd.Stdout = &limited{w: &output, left: maxHookOutput}
	cmd.Stderr = cmd.Stdout
	// A child of the hook may keep its output open after it.
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		err = fmt.Errorf("hook %s: %w", h.Path, cmp.Or(ctx.Err(), err))
		if said := bytes.TrimSpace(output.Bytes()); len(said) > 0 {
			err = fmt.Errorf("%w: %.200q", err, said)
		}
		return err
	}
	return nil
}
