package matrix

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"cellwall/ci/vm"
	"cellwall/reports/record"
)

// Job is a run of the matrix, or of one of its shards.
type Job struct {
	Boots []Boot
	// Guest is what all guests share: the program and its command, files, size and limits.
	Guest vm.Guest
	// Boot boots one, as (*vm.Host).Run does.
	Boot func(context.Context, vm.Guest) (vm.Result, error)
	// Records gets all records, each as soon as it is there.
	Records io.Writer
	// AtOnce is how many guests run side by side; less than 2 is one after the other.
	AtOnce int
	// Step is told which boots are at work, the number of the last that began, from 1, and what share of all is
	// behind. It may be nil. It is never called twice at a time.
	Step func(what string, boot, of int, share float64)
}

// board is what the guests of a job share.
type board struct {
	mu     sync.Mutex
	out    *record.Writer
	names  []string  // of the boots
	shares []float64 // of them, how much is behind
	ends   []bool
	begun  int
	step   func(what string, boot, of int, share float64)
}

// moved says how far all boots are. The board is locked.
func (b *board) moved() {
	if b.step == nil {
		return
	}
	var at []string
	behind := 0.0
	for i, share := range b.shares[:b.begun] {
		behind += share
		if !b.ends[i] {
			at = append(at, b.names[i])
		}
	}
	b.step(strings.Join(at, ", "), b.begun, len(b.names), behind/float64(len(b.names)))
}

// Run boots the guests in their order. A guest that fails is no error: its cells say so. An error is
// that of ctx, of Records, or of a program that this host lacks (exec.ErrNotFound), and leaves the cells that were
// not begun waiting.
func (j *Job) Run(ctx context.Context) error {
	b := &board{out: record.NewWriter(j.Records), step: j.Step, shares: make([]float64, len(j.Boots)), ends: make([]bool, len(j.Boots))}
	for _, boot := range j.Boots {
		b.names = append(b.names, boot.Kernel.Name+" with cgroup "+boot.Cgroup)
		if err := writeCells(b.out, boot.Cells); err != nil {
			return err
		}
	}
	guests, ctx := errgroup.WithContext(ctx)
	guests.SetLimit(max(1, j.AtOnce))
	for i, boot := range j.Boots {
		guests.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			r := &receiver{board: b, at: i, cells: boot.Cells, prefix: boot.Kernel.Name + "/" + boot.Cgroup + "/"}
			r.begins()
			return j.boot(ctx, boot, r)
		})
	}
	return guests.Wait()
}

// boot boots a guest and writes how its cells ended.
func (j *Job) boot(ctx context.Context, b Boot, r *receiver) error {
	g, said := j.Guest, &lastLine{}
	g.Kernel, g.Cgroup, g.Records, g.Stderr = b.Kernel, b.Cgroup, r, said
	result, err := j.Boot(ctx, g)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ends[r.at], r.shares[r.at] = true, 1
	if r.failed != nil {
		return r.failed
	}
	if errors.Is(err, exec.ErrNotFound) {
		return err
	}
	outcome, reason := r.judge(result, err, said.String())
	if ctx.Err() != nil {
		outcome, reason = record.WeFailed, "interrupted"
	}
	for i := range r.cells {
		c := &r.cells[i]
		c.Outcome, c.Reason, c.Accel, c.Up, c.Took = outcome, reason, result.Accel, result.Up, result.Took
		if outcome != record.CellBooted {
			c.Tail = result.Tail
		}
	}
	return errors.Join(writeCells(r.out, r.cells), ctx.Err())
}

// judge says how a guest ended. What verify itself thinks of its verdicts is in these: only whether
// all of them are there is asked here.
func (r *receiver) judge(result vm.Result, err error, said string) (record.CellOutcome, string) {
	var kernel *vm.BootError
	switch {
	case errors.As(err, &kernel):
		return record.KernelFailed, kernel.Why
	case err != nil:
		return record.WeFailed, err.Error()
	case r.run == "":
		return record.WeFailed, strings.TrimSuffix(fmt.Sprintf("verify ended with status %d before it began: %s", result.Exit, said), ": ")
	case r.got != r.asked:
		return record.WeFailed, strings.TrimSuffix(fmt.Sprintf("verify ended with status %d after %d of %d verdicts: %s", result.Exit, r.got, r.asked, said), ": ")
	}
	return record.CellBooted, strings.Join(result.Notes, "; ")
}

func writeCells(out *record.Writer, cells []record.Cell) error {
	for _, c := range cells {
		if err := out.Cell(c); err != nil {
			return err
		}
	}
	return nil
}

// lastLine keeps the last line that is written to it: how a command says why it failed.
type lastLine struct{ text string }

func (l *lastLine) Write(p []byte) (int, error) {
	const most = 4096
	l.text += string(p)
	if at := strings.LastIndexByte(strings.TrimRight(l.text, "\n"), '\n'); at >= 0 {
		l.text = l.text[at+1:]
	}
	l.text = l.text[max(len(l.text)-most, 0):]
	return len(p), nil
}

func (l *lastLine) String() string { return strings.TrimSpace(l.text) }
