package command

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"cellwall/reports/render"
)

func say(text string) func(io.Writer, render.Report) error {
	return func(w io.Writer, _ render.Report) error { _, err := io.WriteString(w, text); return err }
}

// TestTextIsShown: where --out cannot be made the verdicts are shown all the same.
func TestTextIsShown(t *testing.T) {
	f := outputFlags{out: "/proc/none", format: []string{"text"}}
	var b strings.Builder
	err := f.write(&b, render.Report{}, []format{{name: "text", write: say("held")}, {name: "jsonl", file: recordsFile, always: true, write: say("{}")}})
	if err == nil || !strings.Contains(err.Error(), "/proc/none") || b.String() != "held" {
		t.Errorf("%q, %v", b.String(), err)
	}
}

// looking is an output that looks what is in a directory when something is written to it.
type looking struct {
	dir   string
	found []string
}

func (l *looking) Write(p []byte) (int, error) {
	entries, err := os.ReadDir(l.dir)
	for _, e := range entries {
		l.found = append(l.found, e.Name())
	}
	return len(p), errors.Join(err, errors.New("nobody reads"))
}

// TestRecordsComeFirst: `cellwall bench --out DIR | head -1` ends once head has, with its records there.
func TestRecordsComeFirst(t *testing.T) {
	var order []string
	wrote := func(name string) func(io.Writer, render.Report) error {
		return func(w io.Writer, r render.Report) error { order = append(order, name); return say(name)(w, r) }
	}
	f := outputFlags{out: t.TempDir(), format: []string{"text", "markdown"}}
	out := &looking{dir: f.out}
	err := f.write(out, render.Report{}, []format{
		{name: "text", write: wrote("text")}, {name: "markdown", file: "report.md", write: wrote("markdown")},
		{name: "jsonl", file: recordsFile, always: true, write: wrote("jsonl")},
	})
	if err == nil || err.Error() != "nobody reads" || !slices.Equal(order, []string{"jsonl", "markdown", "text"}) {
		t.Errorf("%v, %v", order, err)
	}
	if !slices.Equal(out.found, []string{recordsFile, "report.md"}) {
		t.Errorf("when the text is written there are %v", out.found)
	}
}

// TestWriteFileIsWhole: a file that cannot be written to its end leaves the one before, and nothing else.
func TestWriteFileIsWhole(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, recordsFile)
	if err := writeFile(path, render.Report{}, say("old")); err != nil {
		t.Fatal(err)
	}
	full := func(w io.Writer, r render.Report) error {
		return errors.Join(say("new, and cut sh")(w, r), &fs.PathError{Op: "write", Path: "part", Err: unix.ENOSPC})
	}
	if err := writeFile(path, render.Report{}, full); !errors.Is(err, unix.ENOSPC) || err.Error() != "write "+path+": no space left on device" {
		t.Error(err)
	}
	text, err := os.ReadFile(path)
	entries, listed := os.ReadDir(dir)
	if err = errors.Join(err, listed); err != nil || string(text) != "old" || len(entries) != 1 {
		t.Errorf("%q, %v, %v", text, entries, err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm()&0o044 != 0o044 && umask() == 0o022 {
		t.Errorf("%v: others may not read it", info.Mode())
	}
	if err := os.MkdirAll(filepath.Join(dir, "taken", "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := writeFile(filepath.Join(dir, "taken"), render.Report{}, say("new")); err == nil || err.Error() != "write "+filepath.Join(dir, "taken")+": file exists" {
		t.Error(err)
	}
}

// TestTryDirectory: what cannot be written to is refused before a run, and nothing is left of the attempt.
func TestTryDirectory(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	link, closed := filepath.Join(dir, "link"), filepath.Join(dir, "closed")
	if err := errors.Join(os.Symlink("nowhere", link), os.Mkdir(closed, 0o500)); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		dir: "", filepath.Join(dir, "not", "there"): "", ".": "", "not/there": "",
		link:                         "--out " + link + ": stat " + link + ": no such file or directory",
		filepath.Join(link, "deep"):  "--out " + link + "/deep: stat " + link + ": no such file or directory",
		"/proc/self/none":            "--out /proc/self/none: make a file in /proc/self: no such file or directory",
		filepath.Join(closed, "out"): "--out " + closed + "/out: make a file in " + closed + ": permission denied",
	} {
		if strings.HasPrefix(path, closed) && os.Geteuid() == 0 {
			continue // root may write there
		}
		err := tryDirectory("--out", path)
		if want == "" && err != nil || want != "" && (exitCode(err) != exitUsage || err.Error() != want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 2 {
		t.Errorf("it left %v, %v", entries, err)
	}
}

// TestTerminals: one of no kind, or a dumb one, has a width and takes no escape sequences.
func TestTerminals(t *testing.T) {
	master, slave := terminal(t)
	defer master.Close() //nolint:errcheck // nothing is written
	defer slave.Close()  //nolint:errcheck // nothing is written
	if err := unix.IoctlSetWinsize(int(slave.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 20}); err != nil {
		t.Fatal(err)
	}
	for kind, want := range map[string]bool{"xterm": true, "dumb": false, "": false} {
		t.Setenv("TERM", kind)
		if width, is := terminalWidth(slave); width != 20 || is != want {
			t.Errorf("TERM=%s: width %d, %v", kind, width, is)
		}
		if text := (&outputFlags{}).text(slave); (text.Style == render.Colour) != want {
			t.Errorf("TERM=%s: style %v", kind, text.Style)
		}
	}
	if width, is := terminalWidth(&strings.Builder{}); width != 0 || is {
		t.Errorf("no terminal: %d, %v", width, is)
	}
}

// TestPlot: a picture is there as a whole, and a pipe stays one.
func TestPlot(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	read := make(chan string, 1)
	go func() {
		text, _ := os.ReadFile(pipe)
		read <- string(text)
	}()
	v := probeView{begin: time.Now()}
	if err := v.plot(pipe, time.Now()); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(pipe); err != nil || info.Mode().Type() != fs.ModeNamedPipe {
		t.Fatalf("the pipe is %v, %v", info, err)
	}
	if text := <-read; !strings.HasPrefix(text, "<svg") {
		t.Errorf("of the pipe comes %.100q", text)
	}
	picture, old := filepath.Join(dir, "x.svg"), filepath.Join(dir, "old")
	if err := errors.Join(os.WriteFile(picture, []byte("old"), 0o600), os.Link(picture, old), v.plot(picture, time.Now())); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(picture)
	before, beforeErr := os.ReadFile(old)
	if err := errors.Join(err, beforeErr); err != nil || !strings.HasPrefix(string(text), "<svg") || string(before) != "old" {
		t.Errorf("%.100q, and what was there is %.100q: %v", text, before, err)
	}
}

// interruptedWrite is set for this test's program where it is interrupted as it writes into the directory of that name.
const interruptedWrite = "CELLWALL_TEST_INTERRUPTED_WRITE"

// TestInterruptedWrite: a command that only reads is ended by a signal, and no part of a file is left.
func TestInterruptedWrite(t *testing.T) {
	if dir := os.Getenv(interruptedWrite); dir != "" {
		readsOnly()
		runtime.LockOSThread()
		err := writeFile(filepath.Join(dir, "report.md"), render.Report{}, func(w io.Writer, r render.Report) error {
			return errors.Join(say("all ")(w, r), unix.Tgkill(os.Getpid(), unix.Gettid(), unix.SIGHUP), say("of it")(w, r))
		})
		<-time.After(10 * time.Second) // the signal may come to another thread
		t.Fatal(err)
	}
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^TestInterruptedWrite$")
	cmd.Env = append(os.Environ(), interruptedWrite+"="+dir)
	out, err := cmd.CombinedOutput()
	if status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != unix.SIGHUP {
		t.Errorf("%v: %s", err, out)
	}
	text, err := os.ReadFile(filepath.Join(dir, "report.md"))
	entries, listed := os.ReadDir(dir)
	if err = errors.Join(err, listed); err != nil || string(text) != "all of it" || len(entries) != 1 {
		t.Errorf("%q, %v, %v", text, entries, err)
	}
}

// TestIgnoredSignals: what nohup has us ignore does not end us.
func TestIgnoredSignals(t *testing.T) {
	const name = "CELLWALL_TEST_IGNORED_SIGNALS"
	if os.Getenv(name) != "" {
		if got := Ends(); slices.Contains(got, os.Signal(unix.SIGHUP)) || !slices.Contains(got, os.Signal(unix.SIGTERM)) {
			t.Errorf("it is ended by %v", got)
		}
		return
	}
	if got := Ends(); !slices.Contains(got, os.Signal(unix.SIGTERM)) {
		t.Errorf("it is ended by %v", got)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `trap "" HUP; exec "$0" -test.run='^TestIgnoredSignals$'`, self)
	cmd.Env = append(os.Environ(), name+"=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// umask is that of this process.
func umask() int {
	old := unix.Umask(0)
	unix.Umask(old)
	return old
}
