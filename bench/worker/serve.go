package worker

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"

	"cellwall/bench"
	"cellwall/runtime/driver"
	"cellwall/runtime/kernel"
	"cellwall/runtime/lease"
	"cellwall/runtime/spec"
)

// Options say what a worker measures.
type Options struct {
	Runtime string // as driver.Find takes it, or bench.HostName
	Rung    spec.Rung
	Limit   string // the C limit's program in place of a runtime; empty: none
	// Leases is the directory of leases; empty is lease.Default.
	Leases string
}

// sampleTimeout bounds one sample, and openTimeout the making ready: many times what the slowest take.
const (
	sampleTimeout = time.Minute
	openTimeout   = 5 * time.Minute
)

// Serve answers requests until the input ends. An error of a sample is a reply; what Serve returns is that
// the worker could not work, or could not tidy up.
func Serve(ctx context.Context, in io.Reader, out io.Writer, o Options) (err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	// A reply that nobody reads must not kill us before we have tidied up. Not ignored, which containers
	// would inherit.
	pipes := make(chan os.Signal, 1)
	signal.Notify(pipes, unix.SIGPIPE)
	defer signal.Stop(pipes)
	requests := make(chan request)
	go read(ctx, in, requests, stop)
	s := &server{out: json.NewEncoder(out)}
	env, err := newEnv(ctx, o)
	if err != nil {
		// The first request gets the reason, since nobody may read what we exit with.
		<-requests
		return errors.Join(err, s.say(reply{Error: err.Error(), Unsupported: errors.Is(err, kernel.ErrNotSupported)}))
	}
	s.env = env
	defer func() { err = errors.Join(err, s.close(), env.Place.Close()) }()
	for {
		select {
		case r, more := <-requests:
			if !more {
				return nil
			}
			if err := s.say(s.answer(ctx, r)); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// read passes requests on until the input ends or says what is none; then it cancels what is being done.
func read(ctx context.Context, in io.Reader, requests chan<- request, stop func()) {
	defer close(requests)
	defer stop()
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		var r request
		if json.Unmarshal(lines.Bytes(), &r) != nil {
			return
		}
		select {
		case requests <- r:
		case <-ctx.Done():
			return
		}
	}
}

func newEnv(ctx context.Context, o Options) (_ *bench.Env, err error) {
	leases := o.Leases
	if leases == "" {
		leases = lease.Default
	}
	place, err := bench.NewPlace(leases)
	if err != nil {
		return nil, err
	}
	e := &bench.Env{Place: place, Asked: o.Runtime, Rung: o.Rung, Limit: o.Limit}
	switch {
	case o.Runtime == bench.HostName, o.Limit != "":
		e.Runtime, e.Rung = bench.Host(), spec.Bare
	default:
		e.Runtime, err = driver.Find(ctx, o.Runtime, place.Core)
	}
	if err != nil {
		return nil, errors.Join(err, place.Close())
	}
	if floor := e.Runtime.Floor(); !e.Rung.Covers(floor) {
		err := kernel.Unsupported("%s makes no container at %s: it does from %s on", e.Runtime.Name(), e.Rung, floor)
		return nil, errors.Join(err, place.Close())
	}
	return e, nil
}

// server is a worker at work.
type server struct {
	env     *bench.Env
	out     *json.Encoder
	sampler bench.Sampler
}

func (s *server) say(r reply) error {
	if err := s.out.Encode(r); err != nil && !errors.Is(err, unix.EPIPE) { // nobody listens any more, and the input says so too
		return fmt.Errorf("reply: %w", err)
	}
	return nil
}

func (s *server) answer(ctx context.Context, r request) reply {
	var a reply
	var err error
	switch r.Op {
	case opHello:
		a.Hello, err = s.hello(ctx)
	case opOpen:
		err = s.open(ctx, r.Benchmark)
	case opPlant:
		if r.Planted != nil {
			s.env.Plant(*r.Planted)
		}
	case opSample:
		a.Samples, err = s.sample(ctx, r.N)
	case opClose:
		err = s.close()
	default:
		err = fmt.Errorf("request %.40q is unknown", r.Op)
	}
	if err != nil {
		return reply{Error: err.Error(), Unsupported: errors.Is(err, kernel.ErrNotSupported)}
	}
	return a
}

func (s *server) hello(ctx context.Context) (*Hello, error) {
	own, err := s.env.Core.Version(ctx)
	if err != nil {
		return nil, err
	}
	h := &Hello{Protocol: Version, Version: own, Runtime: s.env.Runtime.Name()}
	if s.env.Limit != "" {
		h.Runtime = LimitName
		return h, nil
	}
	for _, edit := range s.env.Runtime.Lacks() {
		h.Lacks = append(h.Lacks, edit.Name)
	}
	h.RuntimeVersion, err = s.env.Runtime.Version(ctx)
	return h, err
}

// LimitName is how records name the C program of runtime/core/testdata/limit.c.
const LimitName = "C"

func (s *server) open(ctx context.Context, name string) error {
	if s.sampler != nil {
		return errors.New("a benchmark is open")
	}
	row, err := bench.Find(name)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	s.sampler, err = s.env.Open(ctx, row)
	return err
}

func (s *server) sample(ctx context.Context, n int) ([]bench.Value, error) {
	if s.sampler == nil {
		return nil, errors.New("no benchmark is open")
	}
	values := make([]bench.Value, 0, max(n, 0))
	for range n {
		v, err := s.one(ctx)
		if err != nil {
			return nil, err
		}
		values = append(values, v)
	}
	return values, nil
}

func (s *server) one(ctx context.Context) (bench.Value, error) {
	ctx, cancel := context.WithTimeout(ctx, sampleTimeout)
	defer cancel()
	return s.sampler.Sample(ctx)
}

func (s *server) close() error {
	if s.sampler == nil {
		return nil
	}
	sampler := s.sampler
	s.sampler = nil
	return sampler.Close()
}
