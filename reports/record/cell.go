package record

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// KindCell is a cell of the kernel matrix.
const KindCell Kind = "cell"

// CellOutcome says how far a cell came.
type CellOutcome string

// The outcomes of a cell.
const (
	CellWaiting  CellOutcome = "waiting"       // asked for, and not begun
	CellBegun    CellOutcome = "not ended"     // its guest has begun to give verdicts, and no end is told
	CellBooted   CellOutcome = "booted"        // its kernel booted, and all verdicts are there
	KernelFailed CellOutcome = "kernel failed" // its kernel never came up, or ended without a word
	WeFailed     CellOutcome = "we failed"     // anything else that went wrong
)

// CellOutcomes lists every outcome of a cell.
func CellOutcomes() []CellOutcome {
	return []CellOutcome{CellWaiting, CellBegun, CellBooted, KernelFailed, WeFailed}
}

// Cell is one place of the kernel matrix: a runtime on a kernel with a cgroup mode. It is written when
// a matrix begins, and again whenever more is known of it: the last record of a place counts, so that
// an interrupted matrix shows how far it came.
type Cell struct {
	Header
	Place   int           `json:"place"`          // from 1, in the order of the whole matrix
	Of      int           `json:"of"`             // places of the whole matrix, all its shards together
	Kernel  string        `json:"kernel"`         // its name in the matrix file: "debian-12"
	Release string        `json:"release"`        // what uname -r says: "6.1.0-40-cloud-amd64"
	Arch    string        `json:"arch,omitempty"` // GOARCH
	Cgroup  string        `json:"cgroup"`         // v1, hybrid or v2
	Runtime string        `json:"runtime"`
	Outcome CellOutcome   `json:"outcome"`
	Run     string        `json:"run,omitempty"` // of its verdicts; cells of one boot share it
	Reason  string        `json:"reason,omitempty"`
	Accel   string        `json:"accel,omitempty"` // what the guest ran on: kvm, tcg
	Up      time.Duration `json:"up_ns,omitempty"` // until the guest was up
	Took    time.Duration `json:"took_ns,omitempty"`
	Tail    []string      `json:"tail,omitempty"` // the console's last lines, of a cell that failed
}

// What Writer keeps of a console: its last lines, and of each so many bytes.
const (
	MaxTail     = 40
	MaxTailLine = 512
)

// Cell writes a cell record. It limits the length of what a kernel can have a hand in.
func (w *Writer) Cell(c Cell) error {
	c.Header = Header{Schema: Schema, Kind: KindCell}
	c.Reason = Clean(c.Reason, MaxText)
	c.Tail = slices.Clone(c.Tail[max(len(c.Tail)-MaxTail, 0):])
	for i, line := range c.Tail {
		c.Tail[i] = Clean(line, MaxTailLine)
	}
	return w.write(c)
}

func (c *Cell) check() error {
	switch {
	case c.Kernel == "" || c.Cgroup == "" || c.Runtime == "":
		return errors.New("cell without kernel, cgroup mode or runtime")
	case c.Place < 1 || c.Place > c.Of:
		return fmt.Errorf("cell of %.40q: place %d of %d", c.Kernel, c.Place, c.Of)
	case !slices.Contains(CellOutcomes(), c.Outcome):
		return fmt.Errorf("cell of %.40q: outcome %.40q is unknown", c.Kernel, c.Outcome)
	}
	return nil
}

// String names a cell for a person: "runc on debian-12 with cgroup v2".
func (c *Cell) String() string {
	return fmt.Sprintf("%.40s on %.40s with cgroup %.10s", c.Runtime, c.Kernel, c.Cgroup)
}
