package guest

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// No test process is one, whatever else is true of it.
func TestHereIsNowhereElse(t *testing.T) {
	if Here() {
		t.Fatal("this is no guest")
	}
	if err := inMemory("/proc"); err == nil || !strings.Contains(err.Error(), "neither ramfs nor tmpfs") {
		t.Errorf("/proc is in memory: %v", err)
	}
	// The steps that would do harm ask for themselves.
	if err := switchRoot(); err == nil || !strings.Contains(err.Error(), "not process 1") {
		t.Errorf("switch root: %v", err)
	}
	if _, err := run(Description{Command: []string{"/none"}}, "", nil, nil); err == nil || !strings.Contains(err.Error(), "not process 1") {
		t.Errorf("run: %v", err)
	}
}

func TestReadDescription(t *testing.T) {
	file := filepath.Join(t.TempDir(), "d")
	for _, c := range []struct{ text, want string }{
		{"{", "unexpected end"}, {`{"hostname":"a"}`, "it has no command"}, {`{"command":["/a"]}`, ""},
	} {
		text, want := c.text, c.want
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := readDescription(file)
		if want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", text, err)
		}
		if want == "" && (err != nil || d.Command[0] != "/a") {
			t.Errorf("%s: %+v, %v", text, d, err)
		}
	}
	if _, err := readDescription(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it was not removed: %v", err)
	}
}

func TestPanicIsAnError(t *testing.T) {
	stderr := os.Stderr
	defer func() { os.Stderr = stderr }()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	os.Stderr = w
	var out bytes.Buffer
	g := &guest{out: &sender{w: &out}}
	code, err := g.guarded(func() (int, error) { panic("no milk") })
	w.Close()
	trace, _ := io.ReadAll(r)
	if code != 0 || err == nil || err.Error() != "panic: no milk" {
		t.Errorf("%d, %v", code, err)
	}
	if !strings.Contains(string(trace), "TestPanicIsAnError") {
		t.Errorf("the trace is %q", trace)
	}
}

func TestFramesAreNumberedAndWhole(t *testing.T) {
	var out bytes.Buffer
	s := &sender{w: &out}
	text := strings.Repeat("0123456789", 10_000)
	if err := s.send(Frame{Kind: Up, Release: "6"}); err != nil {
		t.Fatal(err)
	}
	if err := s.forward(Stdout, strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for i, line := range strings.SplitAfter(strings.TrimSuffix(out.String(), "\n"), "\n") {
		var f Frame
		if err := json.Unmarshal([]byte(line), &f); err != nil || f.Seq != uint64(i) || len(line) > MaxFrame || len(f.Data) > ChunkSize {
			t.Fatalf("frame %d: %.80q, %v", i, line, err)
		}
		got.Write(f.Data)
	}
	if got.String() != text {
		t.Errorf("%d bytes of %d", got.Len(), len(text))
	}
}

// The largest frame of a stream fits, whatever is in it.
func TestLargestFrame(t *testing.T) {
	var out bytes.Buffer
	s := &sender{w: &out, seq: 1<<64 - 1}
	if err := s.send(Frame{Kind: Record, Data: bytes.Repeat([]byte{0xff}, ChunkSize)}); err != nil || out.Len() > MaxFrame {
		t.Errorf("%d bytes, %v", out.Len(), err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }
func (f failing) Read([]byte) (int, error)  { return 0, f.err }

func TestSenderThatCannot(t *testing.T) {
	s := &sender{w: failing{unix.EPIPE}}
	if err := s.forward(Stdout, strings.NewReader("x")); !errors.Is(err, unix.EPIPE) {
		t.Error(err)
	}
	if s.seq != 0 {
		t.Error("a frame that was not sent has a number")
	}
	if err := (&sender{w: io.Discard}).forward(Stdout, failing{unix.EIO}); !errors.Is(err, unix.EIO) {
		t.Error(err)
	}
}

func TestFindPort(t *testing.T) {
	classes, devices := t.TempDir(), t.TempDir()
	add := func(device, name string) {
		if err := os.Mkdir(filepath.Join(classes, device), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(classes, device, "name"), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	add("vport0p1", "other\n")
	if _, err := openPort(classes, devices, Port, 0); err == nil || !strings.Contains(err.Error(), "1 others (other): the kernel needs virtio_pci") {
		t.Errorf("no port: %v", err)
	}
	add("vport0p2", Port+"\n")
	if _, err := openPort(classes, devices, Port, 0); err == nil {
		t.Error("a port without a node was opened")
	}
	if err := os.WriteFile(filepath.Join(devices, "vport0p2"), []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := openPort(classes, devices, Port, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if b, err := io.ReadAll(f); string(b) != "hello" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
}

func TestAwaitAck(*testing.T) {
	listen(strings.NewReader("A")).awaitAck(time.Hour)
	listen(strings.NewReader("")).awaitAck(time.Hour) // the outside is gone
	r, w := io.Pipe()
	defer w.Close()
	listen(r).awaitAck(time.Millisecond)
}

func TestMoveTree(t *testing.T) {
	old, now := t.TempDir(), t.TempDir()
	at := func(name string) string { return filepath.Join(old, name) }
	for _, err := range []error{
		os.Mkdir(at("d"), 0o755), unix.Chmod(at("d"), 0o1777), os.Mkdir(at("keep"), 0o755), os.WriteFile(at("keep/x"), nil, 0o600),
		os.WriteFile(at("d/f"), bytes.Repeat([]byte("x"), 100_000), 0o600), unix.Chmod(at("d/f"), 0o4755),
		os.Symlink("/nowhere", at("d/link")), unix.Mkfifo(at("d/pipe"), 0o640),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := moveTree(old, now, []string{at("keep")}); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(old, "*"))
	if err != nil || !slices.Equal(left, []string{at("keep")}) {
		t.Errorf("left %v", left)
	}
	for name, mode := range map[string]uint32{
		"d": unix.S_IFDIR | 0o1777, "d/f": unix.S_IFREG | 0o4755, "d/link": unix.S_IFLNK | 0o777, "d/pipe": unix.S_IFIFO | 0o640,
	} {
		var st unix.Stat_t
		if err := unix.Lstat(filepath.Join(now, name), &st); err != nil || st.Mode != mode {
			t.Errorf("%s: mode %o, not %o, %v", name, st.Mode, mode, err)
		}
	}
	if b, err := os.ReadFile(filepath.Join(now, "d/f")); len(b) != 100_000 || err != nil {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	if target, err := os.Readlink(filepath.Join(now, "d/link")); target != "/nowhere" || err != nil {
		t.Errorf("link to %s, %v", target, err)
	}
}

func TestMounted(t *testing.T) {
	if is, err := mounted("/proc"); !is || err != nil {
		t.Errorf("/proc: %v, %v", is, err)
	}
	if is, err := mounted("/proc/self"); is || err != nil {
		t.Errorf("/proc/self: %v, %v", is, err)
	}
	if _, err := mounted("/none"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("/none: %v", err)
	}
}

func TestLoadModules(t *testing.T) {
	if _, err := os.Stat(ModulePath); err == nil {
		t.Skip(ModulePath + " is there, and is not ours")
	}
	// That it is missing is found before the kernel is asked.
	notes, err := loadModules([]string{filepath.Join(t.TempDir(), "a.ko")})
	if err != nil || len(notes) != 1 || !strings.Contains(notes[0], "a.ko: no such file") {
		t.Errorf("%q, %v", notes, err)
	}
}

// The kernel of this host takes it, or says who may give it any; random bytes do no harm.
func TestAddRandomness(t *testing.T) {
	seed := make([]byte, 64)
	if _, err := rand.Read(seed); err != nil {
		t.Fatal(err)
	}
	if err := addRandomness(seed); err != nil && !errors.Is(err, unix.EPERM) {
		t.Error(err)
	}
}

func TestExitCode(t *testing.T) {
	for status, want := range map[unix.WaitStatus]int{0: 0, 3 << 8: 3, 9: 137, 255 << 8: 255} {
		if got := exitCode(status); got != want {
			t.Errorf("%#x: %d, not %d", status, got, want)
		}
	}
}
