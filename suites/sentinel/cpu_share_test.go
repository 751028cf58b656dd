package sentinel

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

func statLine(name string, cpu int) string {
	return "7 (" + name + ") S" + strings.Repeat(" 1", 35) + fmt.Sprintf(" %d", cpu) + strings.Repeat(" 0", 13) + "\n"
}

func TestParseLastCPU(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       int
		bad        bool
	}{
		{name: "plain", text: statLine("sh", 3), want: 3},
		{name: "a name with spaces", text: statLine("a b c", 4), want: 4},
		{name: "a name with parentheses", text: statLine("a) S 1 (b", 5), want: 5},
		{name: "empty", bad: true},
		{name: "no name", text: strings.Repeat("1 ", 52), bad: true},
		{name: "short", text: "7 (sh) S 1 2", bad: true},
	} {
		got, err := parseLastCPU(c.text)
		if (err != nil) != c.bad || got != c.want {
			t.Errorf("%s: %d, %v", c.name, got, err)
		}
	}
}

// The kernel's own file must have the field, and it must be a CPU on which this process may run.
func TestLastCPUOfOurs(t *testing.T) {
	cpus, err := ourCPUs()
	if err != nil || len(cpus) == 0 {
		t.Fatal(cpus, err)
	}
	got, err := lastCPU(fmt.Sprintf("/proc/%d/stat", os.Getpid()))
	if err != nil || got < 0 || got > 1<<14 {
		t.Errorf("%d, %v", got, err)
	}
}

func FuzzParseLastCPU(f *testing.F) {
	f.Add(statLine("sh", 1))
	f.Add(statLine(") (", 0))
	f.Add(")")
	f.Fuzz(func(t *testing.T, s string) {
		if cpu, err := parseLastCPU(s); err == nil && !strings.Contains(s, fmt.Sprint(cpu)) && cpu != 0 {
			t.Errorf("%d from nowhere in %q", cpu, s)
		}
	})
}
