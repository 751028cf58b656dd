package core

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// TestHookTimeLimit: a poststop hook, which no caller can end, has a limit whatever the spec says.
func TestHookTimeLimit(t *testing.T) {
	two := 2
	for _, c := range []struct {
		name string
		hook specs.Hook
		at   moment
		want time.Duration
	}{
		{name: "its own", hook: specs.Hook{Timeout: &two}, at: createHooks, want: 2 * time.Second},
		{name: "its own, at the end", hook: specs.Hook{Timeout: &two}, at: stoppedHooks, want: 2 * time.Second},
		{name: "that of create", at: createHooks},
		{name: "that of start", at: startedHooks},
		{name: "none, at the end", at: stoppedHooks, want: poststopTimeout},
	} {
		if got := timeLimit(c.hook, c.at); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	hangs := specs.Hook{Path: "/bin/sh", Args: []string{"sh", "-c", "exec sleep 60"}}
	if err := runHook(t.Context(), hangs, time.Millisecond, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a hook that hangs: %v", err)
	}
}
