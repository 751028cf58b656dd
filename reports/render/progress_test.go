package render_test

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cellwall/reports/record"
	"cellwall/reports/render"
)

// screen is what a terminal of one endless line shows after text with clearLine in it.
func screen(text string) string {
	var lines []string
	for l := range strings.SplitSeq(text, "\n") {
		at := strings.LastIndex(l, "\r\x1b[K")
		if at >= 0 {
			l = l[at+len("\r\x1b[K"):]
		}
		lines = append(lines, l)
	}
	return strings.Join(lines, "\n")
}

// safeBuffer may be read while the ticker writes.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func TestProgressOnATerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out safeBuffer
		p := &render.Progress{Out: &out, Terminal: true}
		shows := func(want string) {
			t.Helper()
			synctest.Wait()
			if got := screen(out.String()); got != want {
				t.Errorf("shows %q, want %q", got, want)
			}
		}
		held := verdict("fs.dotdot", "claims", record.Held, "root", "ENOENT")
		bad := verdict("pids.fork-bomb", "claims", record.Breached, "", "")
		bad.Evidence = hostile[:12]
		p.Start(75)
		p.Begin("core", "fs.dotdot")
		shows("[ 0/75] fs.dotdot ... 0.0 s")
		time.Sleep(1200 * time.Millisecond) //nolint:forbidigo // the clock of the bubble
		shows("[ 0/75] fs.dotdot ... 1.2 s")
		p.Begin("core", "pids.fork-bomb")
		shows("[ 0/75] fs.dotdot ... 1.2 s (+1)")
		p.Done(held)
		shows("[ 1/75] pids.fork-bomb ... 0.0 s")
		time.Sleep(300 * time.Millisecond) //nolint:forbidigo // the clock of the bubble
		shows("[ 1/75] pids.fork-bomb ... 0.3 s")
		p.Done(bad)
		const stays = "✗ pids.fork-bomb BREACHED: nonce\\x1b]0;own\n"
		shows(stays + "[ 2/75]")
		p.Finish()
		p.Finish()
		shows(stays)
		time.Sleep(time.Second) //nolint:forbidigo // the clock of the bubble
		shows(stays)
	})
}

// Where there is no terminal nobody waits for long, however slow a runtime is.
func TestProgressBreaksTheSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := &render.Progress{Out: &out}
		p.Start(1000)
		for range 5 {
			time.Sleep(6 * time.Second) //nolint:forbidigo // the clock of the bubble
			p.Done(verdict("fs.dotdot", "claims", record.Held, "root", "ENOENT"))
		}
		p.Finish()
		if got := out.String(); !strings.HasPrefix(got, "[   2/1000] 2 held,") || !strings.Contains(got, "\n[   4/1000] 4 held,") || strings.Count(got, "\n") != 2 {
			t.Errorf("wrote %q, want lines for 2 and 4", got)
		}
	})
}

// With several runtimes a line says which one it speaks of, whichever comes first.
func TestProgressNamesTheRuntime(t *testing.T) {
	by := func(runtime, id string, o record.Outcome) record.Verdict {
		v := verdict(id, "claims", o, "", "")
		v.Runtime, v.Evidence = runtime, "seen"
		return v
	}
	synctest.Test(t, func(t *testing.T) {
		var out safeBuffer
		p := &render.Progress{Out: &out, Terminal: true, Several: true}
		shows := func(want string) {
			t.Helper()
			synctest.Wait()
			got := screen(out.String())
			if at := strings.LastIndex(got, "\n"); at >= 0 {
				got = got[at+1:]
			}
			if got != want {
				t.Errorf("shows %q, want %q", got, want)
			}
		}
		p.Start(6)
		p.Begin("runc", "fs.a")
		shows("[0/6] runc fs.a ... 0.0 s")
		p.Done(by("runc", "fs.a", record.Held))
		p.Begin("core", "fs.a")
		p.Done(by("runc", "fs.a", record.Held)) // another's: it is none of what runs
		shows("[2/6] core fs.a ... 0.0 s")
		p.Done(by("core", "fs.a", record.Held))
		shows("[3/6]")
		p.Finish()
	})
	var out bytes.Buffer
	p := &render.Progress{Out: &out, Several: true}
	p.Start(4)
	for _, v := range []record.Verdict{
		by("runc\x1b", "fs.a", record.Held), by("runc\x1b", "fs.b", record.Breached), by("core", "fs.a", record.Held), by("core", "fs.b", record.Held),
	} {
		p.Begin(v.Runtime, v.Guarantee)
		p.Done(v)
	}
	p.Finish()
	const rest = ", 0 unsupported, 0 inconclusive\n"
	want := `[1/4] runc\x1b: 1 held, 0 proven, 1 proven by a control on the core, 0 breached` + rest +
		`[2/4] ✗ runc\x1b fs.b BREACHED: seen` + "\n" +
		`[2/4] runc\x1b: 1 held, 0 proven, 1 proven by a control on the core, 1 breached` + rest +
		`[3/4] core: 1 held, 1 proven, 0 breached` + rest +
		`[4/4] core: 2 held, 2 proven, 0 breached` + rest
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

func TestProgressFitsTheTerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out safeBuffer
		p := &render.Progress{Out: &out, Terminal: true, Width: 20}
		p.Start(5)
		p.Begin("core", "abstract.neighbour-table")
		if got, want := screen(out.String()), "[0/5] abstract.nei…"; got != want {
			t.Errorf("shows %q, want %q", got, want)
		}
		p.Finish()
	})
}

func TestProgressElsewhereWritesEveryTenth(t *testing.T) {
	var out bytes.Buffer
	p := &render.Progress{Out: &out}
	p.Start(40)
	for i := range 40 {
		v := verdict(fmt.Sprintf("g.%d", i), "claims", record.Held, "x", "EPERM")
		switch i {
		case 5:
			v.Outcome, v.Reason = record.Inconclusive, "silence"
		case 6:
			v.Leaks = []string{"mount /x"}
		case 7:
			v.Alone = nil
		case 8:
			v.Outcome, v.Reason = record.Unsupported, "not here"
		}
		p.Begin(v.Runtime, v.Guarantee)
		p.Done(v)
	}
	p.Finish()
	golden(t, "progress.txt", out.Bytes())
	if strings.ContainsAny(out.String(), "\r\x1b") {
		t.Error("terminal control in a plain stream")
	}
}

func TestProgressIsSafe(t *testing.T) {
	for _, terminal := range []bool{true, false} {
		var out safeBuffer
		p := &render.Progress{Out: &out, Terminal: terminal}
		p.Done(verdict("never.begun", "claims", record.Breached, "", "")) // before Start: must not panic
		p.Start(64)
		var all sync.WaitGroup
		for i := range 64 {
			all.Go(func() {
				id := fmt.Sprintf("g.%d", i)
				p.Begin("core", id)
				p.Done(verdict(id, "claims", record.Breached, "", ""))
			})
		}
		all.Wait()
		p.Finish()
		p.Begin("core", "after.finish")
		p.Done(verdict("after.finish", "claims", record.Held, "", ""))
		if got := strings.Count(out.String(), "BREACHED"); got != 65 {
			t.Errorf("terminal %v: %d breaches stayed, want 65", terminal, got)
		}
	}
	(&render.Progress{Out: new(bytes.Buffer)}).Finish()
}
