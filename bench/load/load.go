// Package load is what runs inside the containers that are measured: programs of a few instructions, and
// this binary under another name.
//
// It reports what it measured by itself, over its standard streams. It imports nothing but the standard
// library and x/sys.
package load

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Program is the base name under which the binary is a load and nothing else.
const Program = "cellwall-load"

// Load is one operation that is done again and again.
type Load struct {
	Name string
	// Open makes ready and returns the operation, n times in one call.
	Open func() (func(n int) error, error)
}

// loads are the operations, and act the programs that measure nothing by themselves.
func loads() []Load {
	return []Load{
		{"getpid", openGetpid},
		{"open", openOpen},
		{"fstat", openFstat},
		{"read-4k", openRead},
		{"write-4k", openWrite},
		{"pipe", openPipe},
		{"tcp", openTCP},
		{"fork-exec", openForkExec},
		{"fault", openFault},
	}
}

// Request is what a load is to do: N operations, and to keep the CPU busy for Delay besides.
type Request struct {
	N     int           `json:"n"`
	Delay time.Duration `json:"delay,omitempty"`
}

// Reply is how long that took, all together.
type Reply struct {
	// Ready is how many operations a request should ask for, in the first reply, which has no request.
	Ready   int     `json:"ready,omitempty"`
	Seconds float64 `json:"seconds"`
	CPU     float64 `json:"cpu"` // seconds, of this process and the children that it has waited for
	Error   string  `json:"error,omitempty"`
	// Of a Victim: how long each operation took in nanoseconds, and how many were not begun in time.
	Latencies []int64 `json:"latencies,omitempty"`
	Unserved  int     `json:"unserved,omitempty"`
	// Of an Antagonist: what its workers did, what was refused to them, and how often one was killed.
	Operations int64 `json:"operations,omitempty"`
	Refused    int64 `json:"refused,omitempty"`
	Killed     int64 `json:"killed,omitempty"`
}

// Main runs a load: its arguments are the program and the load's name. It answers requests, lines of JSON
// on its standard input, until that ends.
func Main(args []string) int {
	if len(args) < 2 {
		fmt.Fprintln(os.Stderr, Program+": for use by cellwall alone")
		return 2
	}
	if run, ok := acts()[args[1]]; ok {
		return run(args[2:])
	}
	for _, l := range loads() {
		if l.Name == args[1] {
			return serve(l, os.Stdin, os.Stdout)
		}
	}
	fmt.Fprintf(os.Stderr, "%s: no load %q\n", Program, args[1])
	return 2
}

func serve(l Load, in io.Reader, out io.Writer) int {
	say := json.NewEncoder(out)
	op, err := l.Open()
	n := 0
	if err == nil {
		n, err = calibrate(op)
	}
	if err != nil {
		_ = say.Encode(Reply{Error: err.Error()})
		return 1
	}
	if say.Encode(Reply{Ready: n}) != nil {
		return 1
	}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		var r Request
		var a Reply
		if err = json.Unmarshal(lines.Bytes(), &r); err == nil {
			a, err = timed(op, r)
		}
		if err != nil {
			a.Error = err.Error()
		}
		if say.Encode(a) != nil {
			return 1
		}
	}
	return 0
}

// batch is how long a request should take: long beside the clock, short beside what a host does meanwhile.
const batch = 4 * time.Millisecond

// calibrate finds how many operations take about a batch.
func calibrate(op func(int) error) (int, error) {
	const most = 1 << 24
	for n := 1; ; n *= 2 {
		a, err := timed(op, Request{N: n})
		if err != nil {
			return 0, err
		}
		if took := a.Seconds; took > batch.Seconds()/2 || n >= most {
			return max(1, int(float64(n)*min(batch.Seconds()/took, 2))), nil
		}
	}
}

// timed does what a request says.
func timed(op func(int) error, r Request) (Reply, error) {
	cpu, start := spent(), monotonic()
	for r.Delay > 0 && monotonic()-start < int64(r.Delay) { //nolint:revive // it is to be busy
	}
	err := op(r.N)
	took := monotonic() - start
	return Reply{Seconds: time.Duration(took).Seconds(), CPU: (spent() - cpu).Seconds()}, err
}

// monotonic reads CLOCK_MONOTONIC in nanoseconds.
func monotonic() int64 {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) // there is no Linux without it
	return t.Nano()
}

// spent is the CPU time of this process and of the children that it has waited for.
func spent() time.Duration {
	var own, children unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &own) // both exist everywhere
	_ = unix.Getrusage(unix.RUSAGE_CHILDREN, &children)
	return time.Duration(own.Utime.Nano() + own.Stime.Nano() + children.Utime.Nano() + children.Stime.Nano())
}

// inside is where a path of the root directory lies: below the program's own where it has been left in the
// host's.
func inside(path string) string { return filepath.Join(filepath.Dir(os.Args[0]), path) }

// The load is this whole binary under another name. It takes over before the packages that only the
// harness needs are initialised: Go initialises by import path among those whose imports are ready.
func init() {
	if filepath.Base(os.Args[0]) == Program {
		os.Exit(Main(os.Args))
	}
}
