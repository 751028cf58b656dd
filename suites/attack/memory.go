package attack

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

var memoryAttacks = []Attack{
	LongLine,
	endlessLine,
	lineBuffer,
	Hog,
	hog,
	Siblings,
	sibling,
	Remember,
	Fill,
	filler,
	FillTmpfs,
	HugePages,
	hugeHog,
	OtherNodes,
	Lock,
	CacheFile,
}

// LongLine is `yes | tr \\n x | head -c Target.Bytes | grep n`: a program that must keep the line
// that it reads, and one that never ends it. It holds at "grown".
var LongLine = Attack{Name: "memory.limit-kills-inside", Run: func(a *Attempt) {
	read, write, err := os.Pipe()
	if !a.Try("make a pipe", err) {
		return
	}
	buffer, err := a.part(lineBuffer, a.Target, read)
	if !a.Try("start grep", err) {
		return
	}
	_ = read.Close()
	line, err := a.part(endlessLine, a.Target, write)
	if !a.Try("start yes", err) {
		return
	}
	_ = write.Close()
	a.grown(buffer)
	line.end()
}}

// grown waits until a part says that it has all its memory, or was killed, and holds at "grown".
func (a *Attempt) grown(p *part) {
	what := fmt.Sprintf("touch %d bytes", a.Target.Bytes)
	if p.hears() == "full" {
		a.Try(what, nil)
		a.Hold("grown")
		p.end()
		return
	}
	a.Try(what, p.wait())
	a.Hold("grown")
}

var endlessLine = Attack{Name: "memory.limit-kills-inside/yes", Run: func(a *Attempt) {
	b := make([]byte, 64<<10)
	for i := range b {
		b[i] = 'x'
	}
	out := os.NewFile(3, "line")
	for n := int64(0); n < a.Target.Bytes; n += int64(len(b)) {
		if _, err := out.Write(b); err != nil {
			return
		}
	}
	_ = out.Close()
	stay("written")
}}

var lineBuffer = Attack{Name: "memory.limit-kills-inside/grep", Run: func(a *Attempt) {
	first()
	line, err := anonymous(a.Target.Bytes)
	if err != nil {
		return
	}
	if _, err := io.ReadFull(os.NewFile(3, "line"), line); err == nil {
		stay("full")
	}
}}

// first asks the kernel to take this process first when it has to kill one: proc(5).
func first() { _ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0) }

// anonymous maps memory that is not there before it is touched.
func anonymous(n int64) ([]byte, error) {
	b, err := unix.Mmap(-1, 0, int(n), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err == nil {
		// A huge page would take the limit in one step.
		err = unix.Madvise(b, unix.MADV_NOHUGEPAGE)
		if err == unix.EINVAL { //nolint:errorlint // a kernel without huge pages
			err = nil
		}
	}
	return b, err
}

// touch writes to every page until the time is up, which 0 never is.
func touch(b []byte, limit time.Duration) {
	page := os.Getpagesize()
	start := time.Now()
	for i := 0; i < len(b); i += page {
		b[i] = byte(i / page)
		if limit > 0 && time.Since(start) > limit {
			return
		}
	}
}

// Hog has a part that touches Target.Bytes, more than once if Target.Count says so, and holds at
// "grown" when that is done or Target.For is over.
var Hog = Attack{Name: "memory.hog", Run: func(a *Attempt) {
	h, err := a.part(hog, a.Target)
	if !a.Try("start a hog", err) {
		return
	}
	if a.Target.For > 0 {
		// A throttled hog cannot tell the time: it sleeps in the kernel.
		after := time.AfterFunc(a.Target.For+50*time.Millisecond, h.silence)
		defer after.Stop()
		said := h.hears()
		a.Try(fmt.Sprintf("touch %d bytes", a.Target.Bytes), nil)
		a.Fact("said", said)
		a.Hold("grown")
		h.end()
		return
	}
	a.grown(h)
}}

var hog = Attack{Name: "memory.hog/part", Run: func(a *Attempt) {
	first()
	b, err := anonymous(a.Target.Bytes)
	if err != nil {
		return
	}
	for range max(a.Target.Count, 1) {
		touch(b, a.Target.For)
	}
	stay("full")
}}

// Siblings starts Target.Count idle parts and a hog of Target.Bytes, and holds at "grown".
var Siblings = Attack{Name: "memory.oom-group", Run: func(a *Attempt) {
	for range a.Target.Count {
		s, err := a.part(sibling, a.Target)
		if !a.Try("start a sibling", err) || s.hears() == "" {
			return
		}
	}
	h, err := a.part(hog, a.Target)
	if a.Try("start a hog", err) {
		a.grown(h)
	}
}}

var sibling = Attack{Name: "memory.oom-group/sibling", Run: func(*Attempt) { stay("there") }}

// Remember touches Target.Bytes in a part and ends it, tries to reset the recorded peak of its
// cgroup, and holds at "freed".
var Remember = Attack{Name: "memory.peak-recorded", Run: func(a *Attempt) {
	h, err := a.part(hog, a.Target)
	if !a.Try("start a hog", err) {
		return
	}
	if a.Try(fmt.Sprintf("touch %d bytes", a.Target.Bytes), toldFull(h)) {
		h.end()
	}
	for _, file := range []string{"memory.peak", "memory.max_usage_in_bytes"} {
		if dir, _, ok := a.ownGroup("memory", file); ok {
			a.write(dir+"/"+file, "0")
		}
	}
	a.Hold("freed")
}}

func toldFull(p *part) error {
	if p.hears() == "full" {
		return nil
	}
	return p.wait()
}
