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

// IOShareKept compares what the attacker and a neighbour read from a device that both want, in several
// rounds. BFQ is exact, but in some of them one of the two may have waited for a CPU: it goes on until the
// shares of some rounds agree.
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
	limits := cgroup.Limits{IOWeight: ioWeightBait}
	if s.Rung.Covers(spec.Limits) {
		limits.IOWeight = ioWeightNeighbour // below, nobody has a weight of its own
	}
	group, err := s.group(s.Fence, "neighbour", limits)
	if err != nil {
		return nil, err
	}
	beside, err := s.neighbour(attack.ReadBeside, attack.Target{Path: s.Rootfs + deviceNode, Bytes: 1 << 40, For: 5 * time.Second}, group)
	if err != nil {
		return nil, err
	}
	if said, err := beside.hears(); err != nil || said != "ok" {
		return nil, errors.Join(err, fmt.Errorf("the neighbour cannot read the device: %s", said))
	}
	const enough = "/enough"
	w := &Watch{Target: attack.Target{Path: deviceNode, Bytes: 1 << 40, For: ioRound, Count: ioRounds, Name: enough}, Edits: edits}
	if s.Rung.Covers(spec.Limits) {
		w.Edits = append(w.Edits, WithIOWeight(ioWeightBait))
	}
	read := func(a *Subject) (mine, others uint64, err error) {
		if mine, err = a.readBytes(); err != nil {
			return 0, 0, err
		}
		stat, err := group.Stat()
		return mine, stat.IO[deviceName(number)].Rbytes, err
	}
	var mine, others, allMine, allOthers uint64
	var shares []float64
	w.Hold = func(_ context.Context, name string, a *Subject) (err error) {
		if name == "begin" {
			if len(shares) == 0 {
				if err := beside.begin(); err != nil {
					return err
				}
			}
			mine, others, err = read(a)
			return err
		}
		mineNow, othersNow, err := read(a)
		if err != nil {
			return err
		}
		mine, others = mineNow-mine, othersNow-others
		allMine, allOthers = allMine+mine, allOthers+others
		shares = append(shares, float64(mine)/float64(max(1, mine+others)))
		if _, ok := agreed(shares); ok {
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
		if allMine == 0 || allOthers == 0 {
			return Finding{}, fmt.Errorf("the device was not read by both: %d and %d bytes", allMine, allOthers)
		}
		share, ok := agreed(shares)
		if !ok {
			return Finding{}, fmt.Errorf("no %d of %d rounds agree, the host is too busy: %.2f", ioAgree, len(shares), shares)
		}
		return Finding{
			Breached: share > ioShareMost,
			Evidence: fmt.Sprintf("it read %.1f %% of what two wanted, %d bytes in %d rounds; its weight allows 9 %%, twice the weight 16 %%, equal weights 50 %%", 100*share, allMine+allOthers, len(shares)),
		}, nil
	}
	return w, nil
}

// agreed returns the share of the most rounds that agree, if there are enough; of two as many, the larger
// one. One beyond what weights can give is of
// a round in which one of the two did not run: BFQ's are 1 to 1000, the neighbour's is some 200.
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
		if n >= max(agree, ioAgree) {
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
