package sentinel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/cgroup"
	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
	"cellwall/suites/attack"
)

const (
	ioRounds          = 40 // at the most
	ioAgree           = 4  // rounds that have to agree
	ioRound           = 15 * time.Millisecond
	ioWeightBait      = 100
	ioWeightNeighbour = 2000
	ioShareMost       = 0.12 // between the 9 % that it may have and the 16 % of twice BFQ's weight
)

// readBytes is what the attacker has had read from devices: proc(5), /proc/PID/io. A cgroup
// without limits on devices may have no io.stat of its own.
func (a *Subject) readBytes() (uint64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", a.PID))
	if errors.Is(err, os.ErrNotExist) {
		return 0, kernel.Unsupported("/proc/PID/io: the kernel has no task I/O accounting")
	}
	if err != nil {
		return 0, fmt.Errorf("count what was read: %w", err)
	}
	return strconv.ParseUint(StatusField(string(b), "read_bytes:"), 10, 64)
}

// WithIOWeight gives the container a weight for disks.
func WithIOWeight(n int) spec.Edit {
	return spec.Change(fmt.Sprintf("an I/O weight of %d", n), func(sp *specs.Spec) {
		if sp.Linux.Resources != nil {
			unified(sp, map[string]string{"io.weight": strconv.Itoa(n)})
		}
	})
}

// IOWeightNeighbour is the weight of the neighbour.
const IOWeightNeighbour = ioWeightNeighbour

// ioReader is a neighbour with a group of its own that reads one half of a device of ours.
type ioReader struct {
	*neighbour
	group  *cgroup.Group
	device string // major:minor
}

func (s *Stage) ioReader(name string, half int, number, weight uint64) (r ioReader, err error) {
	r.device = deviceName(number)
	if r.group, err = s.group(s.Fence, name, cgroup.Limits{IOWeight: weight}); err != nil {
		return r, err
	}
	r.neighbour, err = s.neighbour(attack.ReadBeside, attack.Target{Path: s.Rootfs + deviceNode, Bytes: 1 << 40, For: 8 * time.Second, Count: half}, r.group)
	if err != nil {
		return r, err
	}
	if said, err := r.hears(); err != nil || said != "ok" {
		return r, errors.Join(err, fmt.Errorf("a neighbour cannot read the device: %s", said))
	}
	return r, nil
}

// bytes are what it has read.
func (r ioReader) bytes() (uint64, error) {
	stat, err := r.group.Stat()
	return stat.IO[r.device].Rbytes, err
}

// beside are the bytes that somebody has read, and that this reader has.
func (r ioReader) beside(read func() (uint64, error)) (theirs, own uint64, err error) {
	if theirs, err = read(); err != nil {
		return 0, 0, err
	}
	own, err = r.bytes()
	return theirs, own, err
}

// ioShares are what one of two readers got in each round.
type ioShares struct {
	shares      []float64
	mine, other uint64 // in all, bytes
}

func (i *ioShares) add(mine, other uint64) {
	i.mine, i.other = i.mine+mine, i.other+other
	i.shares = append(i.shares, float64(mine)/float64(max(1, mine+other)))
}

// keeps reports whether a neighbour of the attacker's weight gets the attacker's share beside the other one, by
// rounds as the attacker's.
func (r ioReader) keeps(ctx context.Context, neighbour ioReader) (kept bool, seen ioShares, err error) {
	if err := r.begin(); err != nil {
		return false, seen, err
	}
	for range ioRounds {
		mine, other, err := neighbour.beside(r.bytes)
		if err != nil {
			return false, seen, err
		}
		select {
		case <-ctx.Done():
			return false, seen, ctx.Err()
		case <-time.After(ioRound): // a share needs a time
		}
		mineNow, otherNow, err := neighbour.beside(r.bytes)
		if err != nil {
			return false, seen, err
		}
		seen.add(mineNow-mine, otherNow-other)
		if share, ok := agreed(seen.shares); ok {
			return share <= ioShareMost, seen, nil
		}
	}
	return false, seen, nil
}

// IOShareKept compares what the attacker and a neighbour read from a device that both want, in several
// rounds. BFQ is exact, but in some of them one of the two may have waited for a CPU: it goes on until the
// shares of some rounds agree. Where they say that the weight is not kept, or nothing, a neighbour of the same weight
// takes the attacker's place: a host that is too slow for its own disks keeps nobody's weight.
func IOShareKept(s *Stage) (*Watch, error) {
	if err := s.original(); err != nil {
		return nil, err
	}
	number, edits, err := s.device(deviceNode)
	if err != nil {
		return nil, err
	}
	if err := s.useBFQ(number); err != nil {
		return nil, err
	}
	weighs := s.Rung.Covers(spec.Limits) // below, nobody has a weight of its own
	weight := uint64(ioWeightBait)
	if weighs {
		weight = ioWeightNeighbour
	}
	neighbour, err := s.ioReader("neighbour", 1, number, weight)
	if err != nil {
		return nil, err
	}
	stand, err := s.ioReader("stand-in", 0, number, ioWeightBait) // where the attacker reads
	if err != nil {
		return nil, err
	}
	const enough = "/enough"
	w := &Watch{Target: attack.Target{Path: deviceNode, Bytes: 1 << 40, For: ioRound, Count: ioRounds, Name: enough}, Edits: edits}
	if weighs {
		w.Edits = append(w.Edits, WithIOWeight(ioWeightBait))
	}
	var mine, other uint64
	var seen ioShares
	w.Hold = func(ctx context.Context, name string, a *Subject) (err error) {
		if name == "begin" {
			if len(seen.shares) == 0 {
				if err := neighbour.begin(); err != nil {
					return err
				}
			}
			mine, other, err = neighbour.beside(a.readBytes)
			return err
		}
		mineNow, otherNow, err := neighbour.beside(a.readBytes)
		if err != nil {
			return err
		}
		seen.add(mineNow-mine, otherNow-other)
		share, ok := agreed(seen.shares)
		if weighs && (ok && share > ioShareMost || !ok && len(seen.shares) == ioRounds) {
			// While the attacker waits for us.
			kept, theirs, err := stand.keeps(ctx, neighbour)
			if err != nil {
				return err
			}
			if !kept {
				return kernel.Unsupported("io.weight: this host does not keep the weights of our own readers either: %.2f of what both read, in %d rounds", theirs.shares, len(theirs.shares))
			}
		}
		if ok {
			if err := publicFile(s.Rootfs+enough, ""); err != nil {
				return err
			}
		}
		// Anybody on the host may change it, and then the weights say nothing.
		if now, err := os.ReadFile(scheduler(number)); err != nil || !strings.Contains(string(now), "[bfq]") {
			return errors.Join(err, fmt.Errorf("the loop device's scheduler has become %s", now))
		}
		return nil
	}
	w.Look = func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
		if err := MustTry(r, "read the device"); err != nil {
			return Finding{}, err
		}
		if seen.mine == 0 || seen.other == 0 {
			return Finding{}, fmt.Errorf("the device was not read by both: %d and %d bytes", seen.mine, seen.other)
		}
		share, ok := agreed(seen.shares)
		if !ok {
			return Finding{}, fmt.Errorf("no %d of %d rounds agree, the host is too busy: %.2f", ioAgree, len(seen.shares), seen.shares)
		}
		return Finding{
			Breached: share > ioShareMost,
			Evidence: fmt.Sprintf("it read %.1f %% of what two wanted, %d bytes in %d rounds; its weight allows 9 %%, twice the weight 16 %%, equal weights 50 %%", 100*share, seen.mine+seen.other, len(seen.shares)),
		}, nil
	}
	return w, nil
}

// agreed returns the share of the most rounds that agree, if there are enough, a quarter of all at least: some of many
// do by chance. Of two as many it is the larger one. One beyond what weights can give is of a
// round in which one of the two did not run: BFQ's are 1 to 1000, the neighbour's is some 200.
func agreed(shares []float64) (float64, bool) {
	const least, most, apart = 0.04, 0.9, 1.1
	sorted := slices.Sorted(slices.Values(shares))
	sorted = slices.DeleteFunc(sorted, func(s float64) bool { return s < least || s > most })
	share, agree := 0.0, 0
	for i, s := range sorted {
		n := 0
		for n < len(sorted)-i && sorted[i+n] <= apart*s {
			n++
		}
		if n >= max(agree, ioAgree) && 4*n >= len(shares) {
			share, agree = s, n
		}
	}
	return share, agree > 0
}

func scheduler(number uint64) string {
	return fmt.Sprintf("/sys/dev/block/%s/queue/scheduler", deviceName(number))
}

// useBFQ gives our own loop device the scheduler that knows weights.
func (s *Stage) useBFQ(number uint64) error {
	file := scheduler(number)
	b, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("choose a scheduler: %w", err)
	}
	words := strings.Fields(string(b))
	old := slices.IndexFunc(words, func(w string) bool { return strings.HasPrefix(w, "[") })
	if !slices.Contains(words, "bfq") && !slices.Contains(words, "[bfq]") || old < 0 {
		return kernel.Unsupported("io.weight: the loop device has no bfq scheduler (modprobe bfq), of %s", strings.TrimSpace(string(b)))
	}
	err = os.WriteFile(file, []byte("bfq"), 0)
	if errors.Is(err, unix.EROFS) {
		return kernel.Unsupported("io.weight: choose a scheduler: %v", err)
	}
	if err != nil {
		return fmt.Errorf("choose a scheduler: %w", err)
	}
	s.Undo.Push("choose the old scheduler", func() error {
		return os.WriteFile(file, []byte(strings.Trim(words[old], "[]")), 0)
	})
	// By default it lets a fast device be shared as it comes: bfq-iosched.rst, 3. A budget of one block
	// makes turns so short that shares are exact after some milliseconds.
	const bfqBudget = "128" // sectors
	for tunable, value := range map[string]string{"low_latency": "0", "strict_guarantees": "1", "max_budget": bfqBudget} {
		file := filepath.Join(filepath.Dir(file), "iosched", tunable)
		if err := os.WriteFile(file, []byte(value), 0); err != nil {
			return fmt.Errorf("tune the scheduler: %w", err)
		}
	}
	return nil
}
