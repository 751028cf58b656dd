package core_test

import (
	"bufio"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/core"
	"cellwall/runtime/spec"
)

// minimal is what testdata/limit.c makes: all namespaces, pivot_root, /proc.
func (f *fixture) minimal(args ...string) *specs.Spec {
	o := f.options
	o.Args = args
	s := spec.New(spec.Namespaces, o)
	s.Mounts, s.Hostname = s.Mounts[:1], ""
	s.Process.Capabilities.Bounding = allCapabilities()
	s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
	s.Linux.UIDMappings = []specs.LinuxIDMapping{{HostID: o.HostID, Size: o.IDCount}}
	s.Linux.GIDMappings = s.Linux.UIDMappings
	return s
}

// compile builds a C program of testdata, statically.
func compile(b *testing.B, source, to string) {
	b.Helper()
	cc, err := exec.LookPath("cc")
	if err != nil {
		cc, err = exec.LookPath("gcc")
	}
	if err != nil {
		b.Skip("needs a C compiler: the C program is the limit that is measured against")
	}
	if out, err := exec.Command(cc, "-O2", "-static", "-o", to, source).CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
}

// limit is testdata/limit.c, running.
type limit struct {
	in  io.Writer
	out *bufio.Reader
}

func (f *fixture) startLimit(b *testing.B, program string) *limit {
	b.Helper()
	binary := filepath.Join(b.TempDir(), "limit")
	compile(b, "testdata/limit.c", binary)
	cmd := exec.Command(binary, f.limitArgs(program)...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			b.Errorf("limit: %v: %s", err, &stderr)
		}
	})
	return &limit{in: in, out: bufio.NewReader(out)}
}

// limitArgs are the arguments of testdata/limit.c.
func (f *fixture) limitArgs(program string) []string {
	v2, v1 := "-", []string{}
	for _, h := range f.parent.Hierarchies() {
		if h.V2 {
			v2 = h.Path
		} else if h.Name != "devices" {
			v1 = append(v1, h.Path)
		}
	}
	return append([]string{f.options.Rootfs, program, strconv.Itoa(int(f.options.HostID)), v2}, v1...)
}

func (l *limit) once(b *testing.B) time.Duration {
	b.Helper()
	if _, err := fmt.Fprintln(l.in); err != nil {
		b.Fatal(err)
	}
	line, err := l.out.ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	ns, err := strconv.ParseInt(strings.TrimSpace(line), 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return time.Duration(ns)
}

func (f *fixture) once(b *testing.B, s *specs.Spec) time.Duration {
	b.Helper()
	start := time.Now()
	c, err := f.launcher.Create(b.Context(), "bench", core.Options{Spec: s, Parent: f.parent})
	if err != nil {
		b.Fatal(err)
	}
	if err := c.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	status, err := c.Wait(b.Context())
	if err != nil || status.Code != 0 {
		b.Fatal(status, err)
	}
	if err := c.Delete(); err != nil {
		b.Fatal(err)
	}
	return time.Since(start)
}

// BenchmarkStartToExit measures a container from start to exit, its cgroup made and removed,
// against the same calls from C, in ABBA order in one run. x-C is the ratio of the medians.
func BenchmarkStartToExit(b *testing.B) {
	for _, parent := range []int{0, 2 << 30} {
		b.Run(fmt.Sprintf("parent=%dMiB", parent>>20), func(b *testing.B) {
			f := newFixture(b)
			program := "/true"
			compile(b, "testdata/true.c", f.options.Rootfs+program)
			ballast := make([]byte, parent)
			for i := 0; i < len(ballast); i += 4096 {
				ballast[i] = 1
			}
			s, l := f.minimal(program), f.startLimit(b, program)
			var ours, theirs []time.Duration
			for b.Loop() {
				ours = append(ours, f.once(b, s))
				theirs = append(theirs, l.once(b), l.once(b))
				ours = append(ours, f.once(b, s))
			}
			slices.Sort(ours)
			slices.Sort(theirs)
			mine, c := ours[len(ours)/2], theirs[len(theirs)/2]
			b.ReportMetric(float64(mine.Microseconds()), "us/core")
			b.ReportMetric(float64(c.Microseconds()), "us/C")
			b.ReportMetric(float64(mine)/float64(c), "x-C")
			b.ReportMetric(0, "ns/op")
			_ = ballast[len(ballast)/2:]
		})
	}
}
