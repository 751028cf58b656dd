package core

import "testing"

func FuzzParseStartTime(f *testing.F) {
	f.Add("1 (init) S 0 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 77 1 2")
	f.Add("7 (a) b) (c) S 0 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 78 1 2")
	f.Add(")")
	f.Fuzz(func(_ *testing.T, stat string) {
		_, _ = parseStartTime(stat) // must not panic
	})
}

// TestParseStartTime: a program names itself, so the name may look like the fields behind it.
func TestParseStartTime(t *testing.T) {
	for stat, want := range map[string]uint64{
		"1 (init) S 0 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 77 1 2":                                 77,
		"7 (x) R 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9) S 0 1 1 0 -1 4 1 2 3 4 5 6 7 8 20 0 1 0 78 1": 78,
	} {
		if got, err := parseStartTime(stat); err != nil || got != want {
			t.Errorf("parseStartTime(%q) = %d, %v, want %d", stat, got, err, want)
		}
	}
	if _, err := parseStartTime("1 (init) S 0"); err == nil {
		t.Error("a short line was accepted")
	}
}

func FuzzMountOptions(f *testing.F) {
	f.Add("ro,nosuid,size=1k")
	f.Add("rbind,rro,rw")
	f.Fuzz(func(t *testing.T, text string) {
		m := parseMountOptions([]string{text, "ro"})
		if m.attributes()&1 == 0 && text != "rw" {
			t.Errorf("option %q took ro away", text)
		}
	})
}
