package command

import (
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"testing"
)

// What our packages allocate before main runs is paid for by every command, also by the start of a
// container. The runtime itself counts it: GODEBUG=inittrace=1 (package runtime, "Environment Variables").
func TestStartAllocatesLittle(t *testing.T) {
	const (
		perPackage = 60 // one regular expression takes 30 to 1000
		atLeast    = 10 // of our packages allocate something
	)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run=^$")
	cmd.Env = append(os.Environ(), "GODEBUG=inittrace=1")
	trace, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, trace)
	}
	lines := regexp.MustCompile(`(?m)^init (cellwall/\S+) .* (\d+) allocs$`).FindAllStringSubmatch(string(trace), -1)
	if len(lines) < atLeast {
		t.Fatalf("%d packages of ours in the trace:\n%s", len(lines), trace)
	}
	for _, l := range lines {
		if n, err := strconv.Atoi(l[2]); err != nil || n > perPackage {
			t.Errorf("%s allocates %s objects before main: build its tables at their first use, with sync.OnceValue", l[1], l[2])
		}
	}
}
