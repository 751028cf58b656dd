package vm

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"cellwall/ci/kernels"
	"cellwall/ci/vm/guest"
)

// forever is a limit that only broken code reaches; short is one that is to be reached, and ample one that is
// to be reached after the QEMU of a script has said its part, on a busy host too.
const (
	forever = time.Minute
	short   = 200 * time.Millisecond
	ample   = 5 * time.Second
)

// plain is a guest that only needs a script.
func plain(t *testing.T, s script) Guest {
	t.Helper()
	return Guest{
		Kernel:  kernels.Kernel{Name: "some", Release: "6.1.0-1-test", Arch: "amd64", Image: s.file(t)},
		Program: elfFile(t, elf.EM_X86_64, nil), Command: []string{"/cellwall", "verify"}, Boot: forever, Limit: forever, Accel: TCG,
	}
}

var (
	isUp = step{Op: "channel", Text: encode(guest.Frame{Kind: guest.Up, Release: "6.1.0-1-test", Notes: []string{"no tape"}})}
	ack  = step{Op: "ack"}
	hang = step{Op: "hang"}
)

func says(seq uint64, kind guest.Kind, data string) step {
	return step{Op: "channel", Text: line(seq, kind, data)}
}

func TestGuestThatDoesAllThatItShould(t *testing.T) {
	g := plain(t, script{TCG: {
		{Op: "console", Text: "\x1b[2JLinux version 6.1\r\n\r\nlast \x07words"},
		isUp, says(1, guest.Record, "one\ntw"), says(2, guest.Stdout, "out"), says(3, guest.Record, "o\n"), says(4, guest.Stderr, "err"),
		{Op: "channel", Text: encode(guest.Frame{Seq: 5, Kind: guest.Exit, Code: 3})}, ack,
	}})
	var console, records, out, errs bytes.Buffer
	g.Console, g.Records, g.Stdout, g.Stderr = &console, &records, &out, &errs
	r, err := fake(t).Run(t.Context(), g)
	if err != nil {
		t.Fatal(err)
	}
	if r.Exit != 3 || r.Accel != TCG || r.Up <= 0 || r.Took < r.Up || strings.Join(r.Notes, "|") != "no tape" {
		t.Errorf("result %+v", r)
	}
	if got := strings.Join(r.Tail, "|"); got != "Linux version 6.1|last words" {
		t.Errorf("tail %q", got)
	}
	if !strings.Contains(console.String(), "\x1b[2JLinux") || records.String() != "one\ntwo\n" || out.String() != "out" || errs.String() != "err" {
		t.Errorf("console %q, records %q, out %q, err %q", console.String(), records.String(), out.String(), errs.String())
	}
}

func TestGuestThatGoesWrong(t *testing.T) {
	exit := func(seq uint64) step { return says(seq, guest.Exit, "") }
	for name, c := range map[string]struct {
		steps  []step
		want   string
		kernel bool // it is the kernel that failed
		boot   time.Duration
		limit  time.Duration
	}{
		"gap":             {steps: []step{isUp, says(2, guest.Record, "x\n"), hang}, want: "frame 2 came where 1 was due"},
		"again":           {steps: []step{isUp, says(0, guest.Record, "x\n"), hang}, want: "frame 0 came where 1 was due"},
		"garbage":         {steps: []step{isUp, {Op: "channel", Text: "Segmentation fault\n"}, hang}, want: `after 1 frames: "Segmentation fault\n" is no frame`},
		"two in a line":   {steps: []step{{Op: "channel", Text: `{"seq":0,"kind":"up"}{"seq":1}` + "\n"}, hang}, want: "is no frame"},
		"unknown kind":    {steps: []step{{Op: "channel", Text: `{"seq":0,"kind":"tea"}` + "\n"}, hang}, want: "unknown kind"},
		"unknown field":   {steps: []step{{Op: "channel", Text: `{"seq":0,"kind":"up","milk":1}` + "\n"}, hang}, want: "is no frame"},
		"endless frame":   {steps: []step{isUp, {Op: "channel", Text: strings.Repeat("x", 2*guest.MaxFrame)}, hang}, want: "frame 1 is longer than 65536 bytes"},
		"before up":       {steps: []step{says(0, guest.Record, "x\n"), hang}, want: "before the guest was up"},
		"up twice":        {steps: []step{isUp, {Op: "channel", Text: `{"seq":1,"kind":"up"}` + "\n"}, hang}, want: "says again"},
		"cut record":      {steps: []step{isUp, says(1, guest.Record, "x\nhal"), exit(2), hang}, want: `cut off after "hal"`},
		"exit before up":  {steps: []step{exit(0), ack}, want: "ended before it was up"},
		"own error":       {steps: []step{isUp, {Op: "channel", Text: encode(guest.Frame{Seq: 1, Kind: guest.Exit, Error: "no shell"})}, ack}, want: "guest some: no shell"},
		"complaint":       {steps: []step{{Op: "console", Text: "[ 1.0] " + guest.Complaint + "there is no port\r\n"}}, want: "its init says: there is no port"},
		"complaint, slow": {steps: []step{{Op: "console", Text: guest.Complaint + "no"}, hang}, boot: ample, want: "its init says: no"},
		"other kernel":    {steps: []step{{Op: "channel", Text: `{"seq":0,"kind":"up","release":"5.10"}` + "\n"}, exit(1), ack}, want: "calls itself 5.10, not 6.1.0-1-test"},
		"bad QEMU":        {steps: []step{{Op: "stderr", Text: "no accelerator\n"}, {Op: "exit", N: 1}}, want: "exit status 1: no accelerator"},
		"killed QEMU":     {steps: []step{isUp, {Op: "die"}}, want: "signal: killed"},

		"panic":      {steps: []step{{Op: "console", Text: "Kernel panic - not syncing\r\n"}}, kernel: true, want: `ended before init was up; the console ends with "Kernel panic - not syncing"`},
		"dies":       {steps: []step{isUp, says(1, guest.Record, "x\n"), {Op: "console", Text: "Oops\n"}}, kernel: true, want: `ended without a word after 2 frames; the console ends with "Oops"`},
		"half frame": {steps: []step{isUp, {Op: "channel", Text: `{"seq":1,"ki`}}, kernel: true, want: "after 1 frames; the console is empty"},
		"never up":   {steps: []step{{Op: "console", Text: "early\n"}, hang}, boot: ample, kernel: true, want: `not up within 5s; the console ends with "early"`},
		"not up":     {steps: []step{hang}, limit: short, kernel: true, want: "not up within 200ms"},
		"no end":     {steps: []step{isUp, hang}, limit: ample, kernel: true, want: "had not ended within 5s"},
		"prints":     {steps: []step{{Op: "flood console"}}, boot: ample, kernel: true, want: `ends with "all work and no play`},
		"floods":     {steps: []step{isUp, {Op: "flood channel"}}, limit: ample, kernel: true, want: "had not ended within 5s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := plain(t, script{TCG: c.steps})
			if c.boot > 0 {
				g.Boot = c.boot
			}
			if c.limit > 0 {
				g.Limit = c.limit
			}
			r, err := fake(t).Run(t.Context(), g)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want %q", err, c.want)
			}
			var failed *BootError
			if errors.As(err, &failed) != c.kernel {
				t.Errorf("%v: is it the kernel? want %v", err, c.kernel)
			}
			if c.kernel && (strings.Join(failed.Tail, "|") != strings.Join(r.Tail, "|") || failed.Kernel != "some" || failed.Accel != TCG) {
				t.Errorf("error %+v, result %+v", failed, r)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than a line: %q", err)
			}
			if len(r.Tail) > tailLines {
				t.Errorf("%d lines kept", len(r.Tail))
			}
		})
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestWriterThatFails(t *testing.T) {
	full := writerFunc(func([]byte) (int, error) { return 0, io.ErrShortWrite })
	for name, c := range map[string]struct {
		set  func(*Guest)
		want string
	}{
		"records": {func(g *Guest) { g.Records = full }, "pass on records"},
		"stdout":  {func(g *Guest) { g.Stdout = full }, "pass on the command's stdout"},
		"stderr":  {func(g *Guest) { g.Stderr = full }, "pass on the command's stderr"},
		"console": {func(g *Guest) { g.Console = full }, "pass on the console"},
	} {
		t.Run(name, func(t *testing.T) {
			g := plain(t, script{TCG: {
				isUp, says(1, guest.Record, "x\n"), says(2, guest.Stdout, "x"), says(3, guest.Stderr, "x"), {Op: "console", Text: "x\n"}, hang,
			}})
			c.set(&g)
			if _, err := fake(t).Run(t.Context(), g); !errors.Is(err, io.ErrShortWrite) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestContextEndsTheGuest(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	g := plain(t, script{TCG: {isUp, says(1, guest.Stdout, "x"), hang}})
	g.Stdout = writerFunc(func(p []byte) (int, error) { cancel(); return len(p), nil })
	if _, err := fake(t).Run(ctx, g); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, err := fake(t).Run(ctx, g); !errors.Is(err, context.Canceled) {
		t.Errorf("one that has ended before: %v", err)
	}
}

// What has all been said is not lost to a guest that does not switch off.
func TestGuestThatDoesNotSwitchOff(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	g := plain(t, script{TCG: {
		isUp, {Op: "channel", Text: encode(guest.Frame{Seq: 1, Kind: guest.Exit, Code: 4})}, ack, {Op: "console", Text: "Power down\n"}, hang,
	}})
	g.Console = writerFunc(func(p []byte) (int, error) { cancel(); return len(p), nil })
	r, err := fake(t).Run(ctx, g)
	if err != nil || r.Exit != 4 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestAcceleratorByTrial(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("the fake kernel is for amd64")
	}
	good := []step{isUp, says(1, guest.Exit, ""), ack}
	device := filepath.Join(t.TempDir(), "kvm")
	if err := os.WriteFile(device, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		script script
		device string
		want   []string // the accelerators that are tried by two runs
		fails  bool
	}{
		"works":     {script: script{KVM: good, TCG: good}, device: device, want: []string{KVM, KVM}},
		"no device": {script: script{KVM: good, TCG: good}, device: device + "-none", want: []string{TCG, TCG}},
		"hangs":     {script: script{KVM: {hang}, TCG: good}, device: device, want: []string{KVM, TCG, TCG}},
		"refuses":   {script: script{KVM: {{Op: "exit", N: 1}}, TCG: good}, device: device, want: []string{KVM, TCG, TCG}},
		"dies late": {script: script{KVM: {isUp}, TCG: good}, device: device, want: []string{KVM, KVM}, fails: true},
		"neither":   {script: script{KVM: {{Op: "exit", N: 1}}, TCG: {{Op: "exit", N: 1}}}, device: device, want: []string{KVM, TCG, KVM, TCG}, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := fake(t)
			h.Device = c.device
			for accel, steps := range c.script {
				c.script[accel] = append([]step{{Op: "console", Text: accel + "\n"}}, steps...)
			}
			g := plain(t, c.script)
			g.Accel = ""
			if name == "hangs" {
				g.Boot = ample // the good one must make it in that time
			}
			var console bytes.Buffer
			g.Console = &console
			for range 2 {
				r, err := h.Run(t.Context(), g)
				if (err != nil) != c.fails || r.Accel != c.want[len(c.want)-1] {
					t.Errorf("%+v, %v", r, err)
				}
			}
			if got := strings.Fields(console.String()); strings.Join(got, " ") != strings.Join(c.want, " ") {
				t.Errorf("tried %v, want %v", got, c.want)
			}
		})
	}
	g := plain(t, script{TCG: good})
	g.Accel, g.Kernel.Arch, g.Program = "", "arm64", elfFile(t, elf.EM_AARCH64, nil)
	if r, err := (&Host{QEMU: fake(t).QEMU, Device: device}).Run(t.Context(), g); err != nil || r.Accel != TCG {
		t.Errorf("another architecture: %+v, %v", r, err)
	}
}

func TestGuestThatCannotBe(t *testing.T) {
	dynamic := "/bin/sh"
	for want, change := range map[string]func(*Guest){
		"architecture \"mips\"":         func(g *Guest) { g.Kernel.Arch = "mips" },
		"at least 1":                    func(g *Guest) { g.CPUs = -1 },
		"bytes of memory":               func(g *Guest) { g.Memory = 1 << 20 },
		"control groups \"v3\"":         func(g *Guest) { g.Cgroup = "v3" },
		"accelerator \"hvf\"":           func(g *Guest) { g.Accel = "hvf" },
		"a clock of instructions needs": func(g *Guest) { g.Accel, g.Instructions = KVM, true },
		"must be a path":                func(g *Guest) { g.Command = []string{"cellwall"} },
		"time limits":                   func(g *Guest) { g.Boot = 0 },
		"printable":                     func(g *Guest) { g.Append = []string{"a\nb"} },
		"no such file":                  func(g *Guest) { g.Kernel.Image += "x" },
		"is not a file":                 func(g *Guest) { g.Kernel.Image = filepath.Dir(g.Kernel.Image) },
		"build it with its GOARCH":      func(g *Guest) { g.Program = elfFile(t, elf.EM_AARCH64, nil) },
		"an absolute path":              func(g *Guest) { g.Files = []File{{Path: "etc"}} },
		"is not static":                 func(g *Guest) { g.Program = dynamic },
	} {
		g := plain(t, script{})
		change(&g)
		if g.Program == dynamic {
			if f, err := elf.Open(dynamic); err != nil || f.Machine != elf.EM_X86_64 {
				continue
			}
		}
		if _, err := fake(t).Run(t.Context(), g); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := Run(t.Context(), plain(t, script{})); err == nil || !strings.Contains(err.Error(), "apt install qemu-system-x86") {
		t.Errorf("without QEMU: %v", err)
	}
}
