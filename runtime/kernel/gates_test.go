package kernel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// helperMode tells a re-executed test binary what to do before it asks all gates.
const helperMode = "CELLWALL_KERNEL_TEST_HELPER"

// TestMain makes the binary its own helper: it prints one line a gate, and a last line.
func TestMain(m *testing.M) {
	mode := os.Getenv(helperMode)
	if mode == "" {
		os.Exit(m.Run())
	}
	if err := prepare(mode); err != nil {
		fmt.Println("prepare:", err)
		os.Exit(1)
	}
	for _, f := range Features() {
		err := f.Check()
		fmt.Printf("gate\t%s\t%s\t%s\t%v\n", f.Name, kind(err), CauseOf(err), err)
	}
	fmt.Printf("end of %d gates as uid %d\n", len(Features()), os.Geteuid())
	os.Exit(0)
}

const (
	present = "present"
	lacking = "absent"
	unknown = "unknown"
)

// kind is which of the three answers an error is.
func kind(err error) string {
	switch {
	case err == nil:
		return present
	case errors.Is(err, ErrNotSupported):
		return lacking
	}
	return unknown
}

type answered struct {
	kind, text string
	cause      Cause
}

// askIn runs all gates in another process and returns the answers by name. Whatever the exit
// status says, a missing gate or last line fails.
func askIn(t *testing.T, mode string, attr *syscall.SysProcAttr) map[string]answered {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // a gate that hangs must fail, not wait
	defer cancel()
	cmd := exec.CommandContext(ctx, "/proc/self/exe") // its directory may be closed to another user
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), helperMode+"="+mode)
	cmd.SysProcAttr = attr
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("helper %s: %v\n%s", mode, err, out)
	}
	answers := make(map[string]answered)
	for line := range strings.Lines(string(out)) {
		if part := strings.Split(strings.TrimSuffix(line, "\n"), "\t"); len(part) == 5 && part[0] == "gate" {
			answers[part[1]] = answered{kind: part[2], cause: Cause(part[3]), text: part[4]}
		}
	}
	end := regexp.MustCompile(`(?m)^end of (\d+) gates as uid \d+$`).FindSubmatch(out)
	if end == nil || len(answers) != len(Features()) {
		t.Fatalf("helper %s gave %d of %d answers:\n%s", mode, len(answers), len(Features()), out)
	}
	return answers
}

func TestGatesAreComplete(t *testing.T) {
	seen := make(map[string]bool)
	for _, f := range Features() {
		if f.Name == "" || f.probe == nil || f.Since == (Version{}) {
			t.Errorf("gate %q lacks a name, a probe or a release", f.Name)
		}
		if seen[f.Name] {
			t.Errorf("gate %q is there twice", f.Name)
		}
		seen[f.Name] = true
		if got, ok := Find(f.Name); !ok || got != f {
			t.Errorf("cannot find %q", f.Name)
		}
	}
	if f, ok := Find("no such gate"); ok {
		t.Errorf("found %q", f.Name)
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	made := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(file, "_test.go") {
			made += strings.Count(string(text), "= &Feature{")
		}
	}
	if len(files) > 0 && made != len(seen) { // no file: the binary runs away from its sources
		t.Errorf("%d gates are made, %d listed", made, len(seen))
	}
}

// TestGatesCanTell allows no "could not tell" to a process with all that gates may want.
func TestGatesCanTell(t *testing.T) {
	for _, f := range Features() {
		err := f.Check()
		t.Logf("%-8s %s: %v", kind(err), f.Name, err)
		if kind(err) == unknown && holds("CAP_SYS_ADMIN") {
			t.Errorf("could not tell: %v", err)
		}
		if kind(err) == lacking && CauseOf(err) == "" {
			t.Errorf("no cause: %v", err)
		}
	}
}

// TestGatesKeepCgroup2Options: nsdelegate and its like belong to the hierarchy, not to a mount, and go
// when the host's root mounts it again without them.
func TestGatesKeepCgroup2Options(t *testing.T) {
	options := func() (of []string) {
		text, err := os.ReadFile("/proc/self/mountinfo")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if _, after, ok := strings.Cut(line, " - cgroup2 "); ok {
				of = append(of, strings.TrimSpace(after))
			}
		}
		return of
	}
	before := options()
	if !strings.Contains(strings.Join(before, " "), ",") {
		t.Skipf("cgroup2 has no option to lose: %q", before)
	}
	for _, f := range Features() {
		_ = f.probe() // its answer is not the question
	}
	if after := options(); !slices.Equal(before, after) {
		t.Errorf("cgroup2 was mounted as %q, and is as %q", before, after)
	}
}

func TestGatesAsNobody(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user; the other tests have asked as this one")
	}
	id := &syscall.Credential{Uid: nobody, Gid: nobody}
	answers := askIn(t, "plain", &syscall.SysProcAttr{Credential: id})
	for _, f := range []*Feature{MountNamespace, PIDNamespace, NetworkNamespace, UTSNamespace, IPCNamespace, CgroupNamespace} {
		if a := answers[f.Name]; a.kind != lacking || a.cause != NoPrivilege {
			t.Errorf("%s as nobody: %+v, want no privilege", f.Name, a)
		}
	}
	for _, f := range []*Feature{Clone3, PidfdOpen, Openat2, CloseRange, NoNewPrivs, Seccomp} {
		if a := answers[f.Name]; (a.kind == present) != (f.Check() == nil) {
			t.Errorf("%s as nobody: %+v, as root %v", f.Name, a, f.Check())
		}
	}
	if a := answers[UserNamespace.Name]; (a.kind == present) != (UnprivilegedUserNamespace.Check() == nil) {
		t.Errorf("nobody says %+v of user namespaces, root foretold %v", a, UnprivilegedUserNamespace.Check())
	}
}

func TestCheckRemembersOnlyAnswers(t *testing.T) {
	asked := 0
	var answer error
	f := &Feature{Name: "x", Since: Version{Major: 1}, probe: func() error { asked++; return answer }}
	answer = errors.New("out of descriptors")
	for range 2 {
		if err := f.Check(); !errors.Is(err, answer) || errors.Is(err, ErrNotSupported) {
			t.Errorf("got %v", err)
		}
	}
	answer = Unsupported("because of %d", 7)
	for range 2 {
		if err := f.Check(); !errors.Is(err, ErrNotSupported) || err.Error() != "x: not supported: because of 7" {
			t.Errorf("got %v", err)
		}
	}
	if asked != 3 {
		t.Errorf("asked %d times, want 3", asked)
	}
}

func BenchmarkAllGates(b *testing.B) {
	for b.Loop() {
		for _, f := range Features() {
			_ = f.probe()
		}
	}
}
