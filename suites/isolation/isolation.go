// Package isolation makes Ginkgo specs of the catalogue: subject and claim read as one
// sentence, "A container run by core at rung hardened cannot signal a process outside its PID
// namespace".
//
// It decides nothing: a spec asks package judge and fails on what the verdict says. It works in
// a test binary and in a plain one.
package isolation

import (
	"context"
	"io"
	"os"
	"os/signal"
	"sync"
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/formatter"
	"golang.org/x/sys/unix"

	"cellwall/reports/record"
	"cellwall/runtime/spec"
	"cellwall/suites/guarantee"
	"cellwall/suites/judge"
)

// Subject is a runtime at a rung, and the rows that it is tried on.
type Subject struct {
	Judge *judge.Judge
	Rung  spec.Rung
	Rows  []*guarantee.Guarantee
}

// Tour is a list of subjects.
type Tour struct {
	Subjects []Subject
	// Begin and Done are told of each row; both may be nil.
	Begin func(runtime, id string)
	Done  func(record.Verdict)

	// row is held by the row that runs. Ginkgo abandons one that does not end in its time, or at a second
	// interrupt, and goes on beside it.
	row sync.Mutex
}

// specTimeout bounds one row with all its trials. It is longer than they are bounded to together.
const specTimeout = 20 * time.Minute

// Declare makes the specs. Ginkgo then runs them in order, one at a time: a row's leak count
// would see the objects of another. All are in one container, since it shuffles those at the top, and that is
// Ordered, since it sorts specs of one line of code by their texts elsewhere. Once the context is done no row
// begins.
func (t *Tour) Declare(ctx context.Context) {
	ginkgo.Describe("Walls:", ginkgo.Ordered, ginkgo.ContinueOnFailure, func() {
		for _, s := range t.Subjects {
			t.declare(ctx, s)
		}
	})
}

func (t *Tour) declare(outer context.Context, s Subject) {
	name := s.Judge.Runtime.Name()
	ginkgo.Describe("A container run by "+name+" at rung "+string(s.Rung), ginkgo.Label(string(s.Rung)), func() { // names of runtimes may hold what no label may
		for _, g := range s.Rows {
			ginkgo.It(g.Claim, ginkgo.Label(g.ID, g.Group()), func(bounded ginkgo.SpecContext) {
				t.row.Lock()
				defer t.row.Unlock()
				if outer.Err() != nil {
					ginkgo.Skip("interrupted")
				}
				ctx, cancel := context.WithCancel(bounded)
				defer cancel()
				defer context.AfterFunc(outer, cancel)()
				if t.Begin != nil {
					t.Begin(name, g.ID)
				}
				v := s.Judge.Check(ctx, g, s.Rung)
				if t.Done != nil {
					t.Done(v)
				}
				if !stands(&v) {
					ginkgo.Fail(failure(&v))
				}
			}, ginkgo.SpecTimeout(specTimeout))
		}
	})
}

// Run declares and runs the specs in a binary that is no test, and reports whether all stood, and whether an
// interrupt ended it: Ginkgo may know of a signal before the context does.
// Ginkgo's own report goes to out. It works once in a process.
func (t *Tour) Run(ctx context.Context, out io.Writer) (stood, interrupted bool) {
	// Ginkgo's default reporter writes to this variable and nowhere else.
	formatter.ColorableStdOut = out
	t.Declare(ctx)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, unix.SIGTERM) // as Ginkgo does
	suite, reporter := ginkgo.GinkgoConfiguration()
	reporter.NoColor, reporter.Succinct = true, true
	suite.Timeout = 0 // the rows have their own
	stood = ginkgo.RunSpecs(quiet{}, "isolation", suite, reporter)
	t.row.Lock() // an abandoned row still removes what it has made
	defer t.row.Unlock()
	signal.Stop(signals) // after which none is under way to us that Ginkgo has got
	return stood, len(signals) > 0 || ctx.Err() != nil
}

// quiet is what Ginkgo reports of a failure in a binary that is no test: Run returns it.
type quiet struct{}

func (quiet) Fail() {}
