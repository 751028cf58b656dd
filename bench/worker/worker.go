package worker

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"cellwall/bench"
	"cellwall/runtime/kernel"
)

// ErrGone is wrapped where a worker has ended, or cannot be understood and was killed: it can be asked no more.
var ErrGone = errors.New("worker")

// Worker is a worker process, for one who asks it. It is used by one goroutine at a time.
type Worker struct {
	hello  Hello
	name   string
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	errs   *tail
	ended  bool
	killed func() // kills it, once
}

// Args are the arguments with which cellwall is a worker.
func (o Options) Args() []string {
	args := []string{bench.WorkerCommand, "--runtime", o.Runtime, "--rung", string(o.Rung)}
	if o.Limit != "" {
		args = append(args, "--limit", o.Limit)
	}
	return args
}

// helloTimeout bounds how long a worker takes to begin, endTimeout how long to end: it copies its program
// and makes a few files and cgroups, and removes them.
const (
	helloTimeout = time.Minute
	endTimeout   = time.Minute
)

// drained is how long we listen on after a worker's end: something that it started may hold its errors open.
const drained = time.Second

// Start starts a program as a worker and waits until it is ready. name is what errors call it.
func Start(ctx context.Context, name, program string, args ...string) (_ *Worker, err error) {
	w := &Worker{name: name, errs: &tail{}}
	w.cmd = exec.Command(program, args...)
	// An interrupt of the terminal is the parent's, which then has the worker end by closing its input.
	w.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	w.cmd.Stderr, w.cmd.WaitDelay = w.errs, drained
	if w.in, err = w.cmd.StdinPipe(); err != nil {
		return nil, w.fault(err)
	}
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		return nil, w.fault(err)
	}
	w.out = bufio.NewReaderSize(out, 64<<10)
	if err := w.cmd.Start(); err != nil {
		return nil, w.fault(err)
	}
	w.killed = sync.OnceFunc(func() { _ = w.cmd.Process.Kill() })
	a, err := w.ask(ctx, request{Op: opHello}, helloTimeout)
	if lacks := (*lacking)(nil); errors.As(err, &lacks) {
		err = w.fault(err) // what the row lacks needs no name, what the worker lacks does
	}
	if err == nil && a.Hello == nil {
		err = w.fault(errors.New("it does not say who it is"))
	}
	if err == nil && a.Hello.Protocol != Version {
		err = w.fault(fmt.Errorf("it speaks version %d of the protocol and not %d: take a build that is nearer to this one", a.Hello.Protocol, Version))
	}
	if err != nil {
		_ = w.Close() // it has told the reason
		return nil, err
	}
	w.hello = *a.Hello
	return w, nil
}

// Says is what the worker has said of itself.
func (w *Worker) Says() Hello { return w.hello }

// Open opens a benchmark. What the subject cannot do wraps kernel.ErrNotSupported.
func (w *Worker) Open(ctx context.Context, benchmark string) error {
	_, err := w.ask(ctx, request{Op: opOpen, Benchmark: benchmark}, openTimeout+helloTimeout)
	return err
}

// Sample takes n samples of the open benchmark, one after another.
func (w *Worker) Sample(ctx context.Context, n int) ([]bench.Value, error) {
	a, err := w.ask(ctx, request{Op: opSample, N: n}, time.Duration(n+1)*sampleTimeout)
	if err != nil {
		return nil, err
	}
	if len(a.Samples) != n {
		return nil, w.fault(fmt.Errorf("it took %d samples and not %d", len(a.Samples), n))
	}
	return a.Samples, nil
}

// Plant has the open benchmark be slower from now on.
func (w *Worker) Plant(ctx context.Context, p bench.Planted) error {
	_, err := w.ask(ctx, request{Op: opPlant, Planted: &p}, helloTimeout)
	return err
}

// CloseBenchmark closes the open benchmark.
func (w *Worker) CloseBenchmark(ctx context.Context) error {
	_, err := w.ask(ctx, request{Op: opClose}, openTimeout)
	return err
}

// ask sends a request and waits for the reply. A worker that gives none in time is killed.
func (w *Worker) ask(ctx context.Context, r request, timeout time.Duration) (reply, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		// One that is interrupted undoes what it has made; one that has hung would never.
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			w.killed()
		} else {
			_ = w.in.Close()
		}
	})
	defer stop()
	line, err := json.Marshal(r)
	if err != nil {
		return reply{}, w.fault(err)
	}
	if _, err := w.in.Write(append(line, '\n')); err != nil {
		return reply{}, w.silent(ctx, err)
	}
	said, err := w.out.ReadBytes('\n')
	if err != nil {
		return reply{}, w.silent(ctx, err)
	}
	var a reply
	dec := json.NewDecoder(bytes.NewReader(said))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&a); err != nil {
		w.killed()
		return reply{}, w.gone(fmt.Errorf("it says %.60q, which is no reply: %s has to be a build of cellwall", strings.TrimSpace(string(said)), w.cmd.Path))
	}
	switch {
	case a.Error != "" && a.Unsupported:
		return reply{}, &lacking{a.Error}
	case a.Error != "":
		return reply{}, w.fault(errors.New(a.Error))
	}
	return a, nil
}

// lacking is a worker's word that something is not supported.
type lacking struct{ said string }

func (l *lacking) Error() string { return l.said }
func (l *lacking) Unwrap() error { return kernel.ErrNotSupported }

// silent says why no reply came.
func (w *Worker) silent(ctx context.Context, cause error) error {
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return w.gone(errors.New("it gave no answer in time and was killed: cellwall clean removes what it left"))
	case ctx.Err() != nil:
		return ctx.Err()
	}
	err := w.end()
	exit := (*exec.ExitError)(nil)
	switch {
	case err == nil:
		err = fmt.Errorf("it has ended, with status 0: %w", cause)
	case errors.As(err, &exit) && !exit.Exited(): // it had no time to undo what it has made
		err = fmt.Errorf("%w: cellwall clean removes what it left", err)
	}
	return w.gone(err)
}

// fault names the worker.
func (w *Worker) fault(err error) error { return fmt.Errorf("worker %s: %w", w.name, err) }

// gone names a worker that is no more.
func (w *Worker) gone(err error) error { return fmt.Errorf("%w %s: %w", ErrGone, w.name, err) }

// Close has the worker end and waits for it.
func (w *Worker) Close() error {
	if w.ended {
		return nil
	}
	if err := w.end(); err != nil {
		return w.fault(err)
	}
	return nil
}

func (w *Worker) end() error {
	if w.ended {
		return errors.New("it has ended")
	}
	w.ended = true
	_ = w.in.Close()
	late := time.AfterFunc(endTimeout, w.killed)
	defer late.Stop()
	if err := w.cmd.Wait(); err != nil {
		if said := w.errs.text(); said != "" {
			return fmt.Errorf("%w: it wrote %.300q", err, said)
		}
		return err
	}
	return nil
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	kept []byte
}

// maxTail bounds what a tail keeps, in bytes.
const maxTail = 4 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, p...)
	t.kept = t.kept[max(len(t.kept)-maxTail, 0):]
	return len(p), nil
}

func (t *tail) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.kept))
}
