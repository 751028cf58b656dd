package judge

import (
	"fmt"
	"testing"

	"cellwall/reports/record"
)

// TestWeigh tries every triple of outcomes: nothing but a clean proof makes held, and no breach
// is ever lost.
func TestWeigh(t *testing.T) {
	all := []record.Outcome{record.Held, record.Breached, record.Unsupported, record.Inconclusive}
	for _, real := range all {
		for _, alone := range all {
			for _, first := range all {
				for _, second := range all {
					v := &record.Verdict{
						Outcome: real, Alone: &record.Trial{Outcome: alone},
						Controls: []record.Trial{{Outcome: first}, {Outcome: second}},
					}
					weigh(v)
					name := fmt.Sprintf("real %s, alone %s, controls %s and %s: %s", real, alone, first, second, v.Outcome)
					clean := real == record.Held && alone == record.Held && first == record.Breached && second == record.Breached
					switch {
					case (v.Outcome == record.Held) != clean:
						t.Error(name)
					case (real == record.Breached || alone == record.Breached) != (v.Outcome == record.Breached):
						t.Error(name)
					case real == record.Held && alone != record.Breached && failed(first, second) && v.Outcome != record.Inconclusive:
						t.Error(name)
					case clean && !v.Proven():
						t.Error(name, "but not proven")
					}
				}
			}
		}
	}
	v := &record.Verdict{Outcome: record.Held, Alone: &record.Trial{Outcome: record.Held}}
	if weigh(v); v.Outcome != record.Inconclusive {
		t.Errorf("without a control: %s", v.Outcome)
	}
}

// failed reports whether a control ran and did not breach.
func failed(controls ...record.Outcome) bool {
	for _, c := range controls {
		if c == record.Held || c == record.Inconclusive {
			return true
		}
	}
	return false
}
