package load_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"cellwall/bench/load"
)

// root is a root directory as loads expect one, with this test's program as the load.
func root(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{load.Program: program, "etc/passwd": []byte("root:x:0:0::/:\n")} {
		write(t, filepath.Join(dir, name), content)
	}
	for name, content := range load.Tiny() {
		write(t, filepath.Join(dir, name), content)
	}
	if err := os.Mkdir(filepath.Join(dir, load.Data), 0o777); err != nil {
		t.Fatal(err)
	}
	return dir
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o755); err != nil { // a program
		t.Fatal(err)
	}
}

// running is a load that runs.
type running struct {
	in  io.WriteCloser
	out *bufio.Reader
}

func start(t *testing.T, dir, name string, args ...string) *running {
	t.Helper()
	cmd := exec.Command(filepath.Join(dir, load.Program), append([]string{name}, args...)...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s does not end well when its input ends: %v", name, err)
		}
	})
	return &running{in, bufio.NewReader(out)}
}

func (r *running) hear(t *testing.T) load.Reply {
	t.Helper()
	line, err := r.out.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var a load.Reply
	if err := json.Unmarshal([]byte(line), &a); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	return a
}

func (r *running) ask(t *testing.T, q load.Request) load.Reply {
	t.Helper()
	if err := json.NewEncoder(r.in).Encode(q); err != nil {
		t.Fatal(err)
	}
	return r.hear(t)
}

// TestLoads runs every load: it finds how many operations take long enough, does them, and a delay that is
// asked for is a part of the time.
func TestLoads(t *testing.T) {
	dir := root(t)
	for _, name := range []string{"getpid", "open", "fstat", "read-4k", "write-4k", "pipe", "tcp", "fork-exec", "fault"} {
		t.Run(name, func(t *testing.T) {
			r := start(t, dir, name)
			ready := r.hear(t)
			if ready.Error != "" || ready.Ready < 1 {
				t.Fatalf("it says %+v", ready)
			}
			a := r.ask(t, load.Request{N: ready.Ready})
			if a.Error != "" || a.Seconds <= 0 || a.CPU <= 0 {
				t.Errorf("%d operations: %+v", ready.Ready, a)
			}
			const delay = 50 * time.Millisecond
			slow := r.ask(t, load.Request{N: 1, Delay: delay})
			if slow.Seconds < delay.Seconds() || slow.CPU <= 0 {
				t.Errorf("with a delay of %s: %+v", delay, slow)
			}
		})
	}
	left, err := os.ReadDir(filepath.Join(dir, load.Data))
	if err != nil || len(left) > 0 {
		t.Errorf("loads have left %v, %v", left, err)
	}
}

func TestALoadSaysWhatItLacks(t *testing.T) {
	dir := root(t)
	for name, missing := range map[string]string{"open": "etc/passwd", "fork-exec": load.True, "write-4k": load.Data} {
		if err := os.RemoveAll(filepath.Join(dir, missing)); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(filepath.Join(dir, load.Program), name).Output()
		if err == nil || !strings.Contains(string(out), missing) || !strings.Contains(string(out), "no such file") {
			t.Errorf("%s without %s: %q, %v", name, missing, out, err)
		}
	}
	if out, err := exec.Command(filepath.Join(dir, load.Program), "moon").CombinedOutput(); err == nil || !strings.Contains(string(out), `no load "moon"`) {
		t.Errorf("an unknown load: %q, %v", out, err)
	}
}

func TestSpinAndPauses(t *testing.T) {
	dir := root(t)
	spin := start(t, dir, load.Spin, "2")
	spin.hear(t)
	const lasts = 30 * time.Millisecond
	if a := spin.ask(t, load.Request{Delay: lasts}); a.Seconds < lasts.Seconds() || a.CPU <= 0 {
		t.Errorf("spinning for %s: %+v", lasts, a)
	}
	const least = 1 // nanosecond: reading a clock takes longer, so every turn is a pause
	p := start(t, dir, load.Pauses, "1")
	p.hear(t)
	if a := p.ask(t, load.Request{N: 1}); a.Seconds*1e9 <= least {
		t.Errorf("a pause of %g s", a.Seconds)
	}
}

// TestHog: it says when it touches each page, to somebody who can read that when it is dead.
func TestHog(t *testing.T) {
	fd, err := unix.MemfdCreate("clock", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	page := os.NewFile(uintptr(fd), "clock")
	defer page.Close() //nolint:errcheck // memory
	if err := page.Truncate(int64(os.Getpagesize())); err != nil {
		t.Fatal(err)
	}
	var before, after unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &before); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(root(t), load.Program), load.Hog, "1048576")
	cmd.Stdout = page
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &after); err != nil {
		t.Fatal(err)
	}
	var b [8]byte
	if _, err := page.ReadAt(b[:], 0); err != nil {
		t.Fatal(err)
	}
	if at := int64(binary.NativeEndian.Uint64(b[:])); at < before.Nano() || at > after.Nano() {
		t.Errorf("it says %d, between %d and %d", at, before.Nano(), after.Nano())
	}
}

// TestTinyPrograms runs those of this machine's architecture.
func TestTinyPrograms(t *testing.T) {
	dir := root(t)
	if err := exec.Command(filepath.Join(dir, load.True)).Run(); err != nil {
		t.Errorf("true: %v", err)
	}
	idle := exec.Command(filepath.Join(dir, load.Idle))
	idle.Stdin = strings.NewReader(strings.Repeat("x", 1000))
	if err := idle.Run(); err != nil {
		t.Errorf("idle: %v", err)
	}
	var before, after unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &before); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(filepath.Join(dir, load.Clock)).Output()
	if err != nil || len(out) != load.ClockBytes {
		t.Fatalf("clock: %d bytes, %v", len(out), err)
	}
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &after); err != nil {
		t.Fatal(err)
	}
	var said unix.Timespec
	if err := binary.Read(bytes.NewReader(out), binary.NativeEndian, &said); err != nil {
		t.Fatal(err)
	}
	if said.Nano() < before.Nano() || said.Nano() > after.Nano() {
		t.Errorf("clock says %d, between %d and %d", said.Nano(), before.Nano(), after.Nano())
	}
}
