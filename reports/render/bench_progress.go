package render

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/clipperhouse/displaywidth"
)

// BenchProgress shows how far a run of benchmarks is: on a terminal one line that is kept up to date,
// elsewhere a line when a benchmark begins. It is safe for concurrent use; its fields must not change after
// the first Step. A failed write is ignored: no result depends on it.
type BenchProgress struct {
	Out      io.Writer
	Terminal bool
	Width    int // of the terminal in columns; 0: 80
	// Now is the clock; nil is the host's.
	Now func() time.Time

	mu    sync.Mutex
	begun time.Time
	at    string
	drawn time.Time
}

// Step says that a share of the run, from 0 to 1, is behind, and that benchmark i of n is at work.
func (p *BenchProgress) Step(benchmark string, i, n int, share float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now
	if p.Now != nil {
		now = p.Now
	}
	t := now()
	if p.begun.IsZero() {
		p.begun = t
	}
	fresh := benchmark != p.at
	p.at = benchmark
	count := fmt.Sprintf("[%*d/%d] %s", len(fmt.Sprint(n)), i, n, EscapeTerminal(benchmark))
	if !p.Terminal {
		if fresh {
			p.write(count + "\n")
		}
		return
	}
	if !fresh && t.Sub(p.drawn) < tick {
		return
	}
	p.drawn = t
	line := count + fmt.Sprintf("  %3.0f %%%s", 100*share, p.left(t, share))
	width := p.Width
	if width <= 0 {
		width = 80
	}
	p.write(clearLine + displaywidth.TruncateString(line, width-1, "…"))
}

// left says how long it will go on, once that can be told.
func (p *BenchProgress) left(now time.Time, share float64) string {
	const enough = 0.02
	gone := now.Sub(p.begun)
	if share < enough || gone < time.Second {
		return ""
	}
	left := time.Duration(float64(gone) * (1 - share) / share)
	return fmt.Sprintf(", %s left", left.Round(time.Second))
}

// Finish clears the line.
func (p *BenchProgress) Finish() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.Terminal && p.at != "" {
		p.write(clearLine)
	}
}

func (p *BenchProgress) write(s string) { _, _ = io.WriteString(p.Out, s) }
