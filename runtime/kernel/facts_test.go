package kernel

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestFactsOfThisHost(t *testing.T) {
	facts, err := Facts()
	if err != nil {
		t.Fatal(err)
	}
	if release, err := os.ReadFile("/proc/sys/kernel/osrelease"); err != nil || strings.TrimSpace(string(release)) != facts.Release {
		t.Errorf("release %q, osrelease says %q (%v)", facts.Release, release, err)
	}
	if facts.Version.Less(Version{Major: 5, Minor: 10}) {
		t.Errorf("version %v is below the oldest that cellwall supports", facts.Version)
	}
	if facts.Machine == "" {
		t.Error("no machine")
	}
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		t.Fatal(err)
	}
	if want := len(regexp.MustCompile(`(?m)^cpu\d`).FindAll(stat, -1)); facts.CPUs != want {
		t.Errorf("%d CPUs, /proc/stat counts %d", facts.CPUs, want)
	}
	if facts.MemoryBytes < 1<<24 {
		t.Errorf("memory of %d bytes", facts.MemoryBytes)
	}
	if !regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`).MatchString(facts.BootID) {
		t.Errorf("boot id %q is no UUID", facts.BootID)
	}
	modes := []string{LockdownNone, LockdownIntegrity, LockdownConfidentiality, LockdownUnknown}
	if !slices.Contains(modes, facts.Lockdown) {
		t.Errorf("lockdown %q is none of %v", facts.Lockdown, modes)
	}
}

func TestParseLockdown(t *testing.T) {
	for text, want := range map[string]string{
		"[none] integrity confidentiality\n": LockdownNone,
		"none [integrity] confidentiality\n": LockdownIntegrity,
		"none integrity [confidentiality]\n": LockdownConfidentiality,
		"none integrity confidentiality\n":   LockdownUnknown,
		"none [integrity confidentiality]":   LockdownUnknown,
		"[paranoia]":                         LockdownUnknown,
		"":                                   LockdownUnknown,
	} {
		if got := parseLockdown(text); got != want {
			t.Errorf("%q is %s, want %s", text, got, want)
		}
	}
}

func TestParseList(t *testing.T) {
	for _, tt := range []struct {
		text string
		want []int
	}{
		{text: "", want: nil},
		{text: "\n", want: nil},
		{text: "0\n", want: []int{0}},
		{text: "0-2,5\n", want: []int{0, 1, 2, 5}},
		{text: "5,0-1,1-2", want: []int{0, 1, 2, 5}},
	} {
		if got, err := ParseList(tt.text); err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%q is %v (%v), want %v", tt.text, got, err, tt.want)
		}
	}
	for _, text := range []string{",", "1,", "a", "-", "-1", "2-1", "0-65536", "0-1-2", "1:2", "+1", "99999999999"} {
		if got, err := ParseList(text); err == nil {
			t.Errorf("%q is %v, want an error", text, got)
		}
	}
}

func FuzzParseList(f *testing.F) {
	for _, seed := range []string{"0-2,5", "", "0-65535", "9-1", "1,,2", "-"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		list, err := ParseList(text)
		if err != nil && list != nil {
			t.Errorf("%q gives both %v and %v", text, list, err)
		}
		if !slices.IsSorted(list) || len(slices.Compact(slices.Clone(list))) != len(list) {
			t.Errorf("%q gives %v", text, list)
		}
		if len(list) > 0 && (list[0] < 0 || list[len(list)-1] >= listMax) {
			t.Errorf("%q gives numbers out of range", text)
		}
	})
}

func FuzzParseLockdown(f *testing.F) {
	for _, seed := range []string{"none [integrity] confidentiality", "[none]", "[", "]"} {
		f.Add(seed)
	}
	modes := []string{LockdownNone, LockdownIntegrity, LockdownConfidentiality}
	f.Fuzz(func(t *testing.T, text string) {
		got := parseLockdown(text)
		if got != LockdownUnknown && (!slices.Contains(modes, got) || !strings.Contains(text, "["+got+"]")) {
			t.Errorf("%q gives %q", text, got)
		}
	})
}
