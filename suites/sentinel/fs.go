package sentinel

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"cellwall/suites/attack"
)

// Returned finds a breach where the attacker returns the stage's nonce.
func (s *Stage) Returned(r attack.Record) Finding {
	holds := func(text string) bool { return strings.Contains(text, s.Nonce) }
	if slices.ContainsFunc(r.Saw, holds) {
		return Finding{Breached: true, Evidence: "the attacker returned the nonce"}
	}
	return Finding{Evidence: fmt.Sprintf("the nonce is not in the %d texts that the attacker returned", len(r.Saw))}
}

// LookForNonce is a Watch.Look that rests on the nonce alone.
func (s *Stage) LookForNonce(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
	return s.Returned(r), nil
}

// CanaryFile puts a file with the nonce on the host, outside the root directory. The target's
// Path is its host path.
func CanaryFile(s *Stage) (*Watch, error) {
	canary := filepath.Join(s.Dir, "canary")
	if err := os.WriteFile(canary, []byte(s.Nonce), 0o644); err != nil { // every uid may read it: modes are not the barrier
		return nil, fmt.Errorf("make canary: %w", err)
	}
	return &Watch{Target: attack.Target{Path: canary}, Look: after(s.LookForNonce, "open ")}, nil
}
