package render

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/clipperhouse/displaywidth"

	"cellwall/reports/record"
)

// Progress shows how far a verify run is, while it runs. On a terminal one line is kept up to
// date; elsewhere a line is written every tenth of the way, and with a verdict that comes when none
// was written for 10 s. A verdict that is bad news stays as a line of its own on both. It is safe for concurrent use; its fields must not change after
// Start. A failed write is ignored: no result depends on it.
type Progress struct {
	Out      io.Writer
	Terminal bool
	Style    Style
	Width    int  // of the terminal in columns; 0: 80
	Several  bool // there are several runtimes: each is named in every line

	mu      sync.Mutex
	total   int
	done    int
	at      string       // the runtime of the last verdict
	tally   record.Tally // of its verdicts
	running []running    // in the order of their Begin
	wrote   time.Time    // the last line, elsewhere than on a terminal
	stop    chan struct{}
	stopped sync.WaitGroup
}

type running struct {
	runtime, id string
	since       time.Time
}

// tick is how often the time in the line moves on. It shows tenths of a second.
const tick = 100 * time.Millisecond

// silence is how long there may be no line while verdicts come.
const silence = 10 * time.Second

// Start begins a run of total verdicts.
func (p *Progress) Start(total int) {
	p.Finish()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.total, p.done, p.at, p.tally, p.running, p.wrote = total, 0, "", record.Tally{}, nil, time.Now()
	if !p.Terminal {
		return
	}
	p.stop = make(chan struct{})
	p.stopped.Add(1)
	go p.tick(p.stop)
}

// Begin says that a runtime's work on a guarantee begins.
func (p *Progress) Begin(runtime, id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running = append(p.running, running{runtime: runtime, id: id, since: time.Now()})
	p.redraw()
}

// Done says that a verdict is there.
func (p *Progress) Done(v record.Verdict) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at := slices.IndexFunc(p.running, func(r running) bool { return r.runtime == v.Runtime && r.id == v.Guarantee }); at >= 0 {
		p.running = slices.Delete(p.running, at, at+1)
	}
	before := p.tenths()
	if v.Runtime != p.at {
		p.at, p.tally = v.Runtime, record.Tally{}
	}
	p.done++
	p.tally.Add(&v)
	if l := lookOf(&v); l == lookBreached || l == lookInconclusive || l == lookNotProven || len(v.Leaks) > 0 {
		p.stay(l, &v)
	}
	if !p.Terminal && (p.tenths() > before || time.Since(p.wrote) >= silence) {
		p.wrote = time.Now()
		p.write(p.count() + " " + p.prefix(v.Runtime, ": ") + tallyWords(p.tally) + "\n")
	}
	p.redraw()
}

// Finish ends the run and clears the line. A second call does nothing.
func (p *Progress) Finish() {
	p.mu.Lock()
	stop := p.stop
	p.stop = nil
	p.mu.Unlock()
	if stop == nil {
		return
	}
	close(stop)
	p.stopped.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.write(clearLine)
}

func (p *Progress) tick(stop <-chan struct{}) {
	defer p.stopped.Done()
	t := time.NewTicker(tick)
	defer t.Stop()
	for {
		select {
		case <-stop:
			return
		case <-t.C:
			p.mu.Lock()
			p.redraw()
			p.mu.Unlock()
		}
	}
}

func (p *Progress) tenths() int {
	if p.total <= 0 {
		return 0
	}
	return p.done * 10 / p.total
}

// count is "[ 34/75]": how many are done.
func (p *Progress) count() string {
	total := fmt.Sprint(p.total)
	return fmt.Sprintf("[%*d/%s]", len(total), p.done, total)
}

// prefix names a runtime where there are several.
func (p *Progress) prefix(name, end string) string {
	if !p.Several {
		return ""
	}
	return EscapeTerminal(name) + end
}

const clearLine = "\r\x1b[K"

// stay writes a line that does not vanish.
func (p *Progress) stay(l look, v *record.Verdict) {
	s := l.mark() + " " + p.prefix(v.Runtime, " ") + v.Guarantee + " " + l.word()
	if why := or(v.Evidence, v.Reason); why != "" {
		s += ": " + why
	}
	if len(v.Leaks) > 0 {
		s += "; left behind: " + strings.Join(v.Leaks, ", ")
	}
	page := &page{Text: Text{Style: p.Style}}
	if p.Terminal {
		page.WriteString(clearLine)
	} else {
		page.WriteString(p.count() + " ")
	}
	page.line(page.paint(l.sgr(), EscapeTerminal(record.Clean(s, 1024))))
	p.write(page.String())
}

// redraw brings the line up to date. It shows what runs longest: that is what one waits for.
func (p *Progress) redraw() {
	if p.stop == nil {
		return
	}
	s := p.count()
	if len(p.running) > 0 {
		r := p.running[0]
		s += " " + p.prefix(r.runtime, " ") + EscapeTerminal(r.id) + " ... " + seconds(time.Since(r.since))
		if more := len(p.running) - 1; more > 0 {
			s += fmt.Sprintf(" (+%d)", more)
		}
	}
	width := p.Width
	if width <= 0 {
		width = 80
	}
	// The last column stays free: a terminal that wraps there would keep half a line.
	p.write(clearLine + displaywidth.TruncateString(s, width-1, "…"))
}

func (p *Progress) write(s string) { _, _ = io.WriteString(p.Out, s) }
