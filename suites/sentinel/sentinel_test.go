package sentinel

import (
	"slices"
	"testing"

	"cellwall/suites/attack"
)

// TestFindingOf: one broken part is a breach, and the others stay named.
func TestFindingOf(t *testing.T) {
	for _, c := range []struct {
		name     string
		finding  Finding
		parts    []part
		breached bool
		intact   []string
	}{
		{"none", Finding{}, nil, false, nil},
		{"a breach without parts", Finding{Breached: true}, nil, true, nil},
		{"all whole", Finding{}, []part{{"a", false}, {"b", false}}, false, []string{"a", "b"}},
		{"one broken", Finding{}, []part{{"a", false}, {"b", true}}, true, []string{"a"}},
		{"all broken", Finding{}, []part{{"a", true}, {"b", true}}, true, nil},
		{"a breach beside whole parts", Finding{Breached: true}, []part{{"a", false}}, true, []string{"a"}},
	} {
		if f := c.finding.of(c.parts...); f.Breached != c.breached || !slices.Equal(f.Intact, c.intact) {
			t.Errorf("%s: %+v", c.name, f)
		}
	}
}

func TestAnswer(t *testing.T) {
	r := attack.Record{Tries: []attack.Try{{Call: "mount", Errno: 13}, {Call: "mount again"}}}
	if errno, made := answer(r, "mount"); errno != 13 || !made || succeeded(r, "mount") {
		t.Errorf("mount: %v, %v", errno, made)
	}
	if errno, made := answer(r, "mount again"); errno != 0 || !made || !succeeded(r, "mount again") {
		t.Errorf("mount again: %v, %v", errno, made)
	}
	if _, made := answer(r, "umount"); made || succeeded(r, "umount") {
		t.Error("a call that was not made was answered")
	}
}
