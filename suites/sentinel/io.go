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

// Limits of the baits and how far the attacks go.
const (
	fileLimit, fileBound = 64 << 10, 256 << 10
	deviceBytes          = 4 << 20
	ioWindow             = 150 * time.Millisecond
	ioBytesRate          = 4 << 20 // a second
	ioOpsRate            = 200
	ioBound              = 512 // calls of each kind
	ioRounds             = 5
	ioRound              = 15 * time.Millisecond
	ioWeightBait         = 100
	ioWeightNeighbour    = 2000
	ioShareMost          = 0.12 // between the 9 % that it may have and the 16 % of twice BFQ's weight
)

// FileBounded looks how large the attacker's files are.
func FileBounded(s *Stage) (*Watch, error) {
	volume, err := s.volume(fillVolume)
	if err != nil {
		return nil, err
	}
	w := &Watch{
		Edits:  append(s.rlimit("RLIMIT_FSIZE", fileLimit), volume...),
		Target: attack.Target{Path: fillVolume, Bytes: fileBound},
	}
	w.Look = func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
		entries, err := os.ReadDir(s.volumeDir(fillVolume))
		if err != nil {
			return Finding{}, fmt.Errorf("measure files: %w", err)
		}
		var largest int64
		over := map[string]bool{}
		for _, e := range entries {
			info, err := e.Info()
			if err != nil {
				return Finding{}, fmt.Errorf("measure files: %w", err)
			}
			largest = max(largest, info.Size())
			over[e.Name()] = info.Size() > fileLimit
		}
		f := Finding{Evidence: fmt.Sprintf("with a limit of %d bytes the largest of %d files has %d", fileLimit, len(entries), largest)}
		return f.of(part{"writing", over["written"]}, part{"ftruncate", over["extended"]}), MustTry(r, "write", "ftruncate")
	}
	return w, nil
}

// device makes a loop device over a file of the trial's own, with a node in the container's root
// directory that any user may read and write, and the edit that allows it.
func (s *Stage) device(node string) (number uint64, edits spec.Edits, err error) {
	image := filepath.Join(s.Dir, filepath.Base(node))
	if err := os.WriteFile(image, make([]byte, deviceBytes), 0o600); err != nil {
		return 0, nil, fmt.Errorf("make an image: %w", err)
	}
	if number, err = s.loop(image); err != nil {
		return 0, nil, err
	}
	path := s.Rootfs + node
	if err := errors.Join(
		unix.Mknod(path, unix.S_IFBLK|0o666, int(number)), // a device number
		unix.Chmod(path, 0o666),
	); err != nil {
		return 0, nil, fmt.Errorf("make a node of the loop device: %w", err)
	}
	major, minor := int64(unix.Major(number)), int64(unix.Minor(number))
	return number, spec.Edits{spec.Change("a device rule for the loop device", func(sp *specs.Spec) {
		switch r := sp.Linux.Resources; {
		case r == nil:
		case len(r.Devices) == 0:
			// Some runtimes have a filter all the same.
			r.Devices = []specs.LinuxDeviceCgroup{{Allow: true, Access: "rwm"}}
		default:
			r.Devices = append(r.Devices, specs.LinuxDeviceCgroup{Allow: true, Type: "b", Major: &major, Minor: &minor, Access: "rw"})
		}
	})}, nil
}

func deviceName(number uint64) string {
	return fmt.Sprintf("%d:%d", unix.Major(number), unix.Minor(number))
}

const deviceNode = "/cellwall-device"

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

// ioUse is what a device has carried out since it was made.
type ioUse struct{ readBytes, writtenBytes, reads, writes uint64 }

// useOf asks the kernel for a device's use: Documentation/block/stat.rst. Nobody but the attacker has
// a device of the trial's.
func useOf(number uint64) (u ioUse, err error) {
	file := fmt.Sprintf("/sys/dev/block/%s/stat", deviceName(number))
	b, err := os.ReadFile(file)
	if err != nil {
		return u, fmt.Errorf("count what the device did: %w", err)
	}
	const sector = 512
	var merged, ticks uint64
	if _, err := fmt.Sscan(string(b), &u.reads, &merged, &u.readBytes, &ticks, &u.writes, &merged, &u.writtenBytes); err != nil {
		return u, fmt.Errorf("parse %s: %w", file, err)
	}
	u.readBytes, u.writtenBytes = u.readBytes*sector, u.writtenBytes*sector
	return u, nil
}

// RatesKept limits the bytes of one device and the operations of another, of reads and of writes, and
// counts what the devices carry out for the attacker in a window of time.
func RatesKept(s *Stage) (*Watch, error) {
	var limits [2]specs.LinuxThrottleDevice
	var numbers [2]uint64
	w := &Watch{Target: attack.Target{Paths: []string{deviceNode, deviceNode + "-ops"}, Count: ioBound, For: ioWindow}}
	for i, rate := range []uint64{ioBytesRate, ioOpsRate} {
		number, edits, err := s.device(w.Target.Paths[i])
		if err != nil {
			return nil, err
		}
		w.Edits = append(w.Edits, edits...)
		numbers[i], limits[i].Rate = number, rate
		limits[i].Major, limits[i].Minor = int64(unix.Major(number)), int64(unix.Minor(number))
	}
	w.Edits = append(w.Edits, s.limited(func(sp *specs.Spec) {
		bytes, ops := limits[:1], limits[1:]
		sp.Linux.Resources.BlockIO = &specs.LinuxBlockIO{
			ThrottleReadBpsDevice: bytes, ThrottleWriteBpsDevice: bytes, ThrottleReadIOPSDevice: ops, ThrottleWriteIOPSDevice: ops,
		}
	})...)
	var begun time.Time
	var window time.Duration
	var before, after [2]ioUse
	w.Hold = func(_ context.Context, name string, _ *Subject) (err error) {
		use := &before
		if name == "end" {
			use, window = &after, time.Since(begun)
		}
		for i, number := range numbers {
			if use[i], err = useOf(number); err != nil {
				return err
			}
		}
		if name == "begin" {
			begun = time.Now()
		}
		return nil
	}
	w.Look = func(_ context.Context, _ *Subject, r attack.Record) (f Finding, err error) {
		if err := MustTry(r, "read "+w.Target.Paths[1], "write "+w.Target.Paths[1]); err != nil {
			return f, err
		}
		// The kernel gives out the budget in slices of 100 ms, at their begin. Twice the rate gives
		// 2 times the window.
		allowed := func(rate float64) uint64 { return uint64(rate * (window + 100*time.Millisecond).Seconds() * 1.1) }
		bytes, ops := allowed(ioBytesRate), allowed(ioOpsRate)
		var parts []part
		var texts []string
		for _, c := range []struct {
			name          string
			used, allowed uint64
		}{
			{"bytes read", after[0].readBytes - before[0].readBytes, bytes},
			{"bytes written", after[0].writtenBytes - before[0].writtenBytes, bytes},
			{"reads", after[1].reads - before[1].reads, ops},
			{"writes", after[1].writes - before[1].writes, ops},
		} {
			if c.used == 0 {
				err = fmt.Errorf("the attacker did not get to use the device: %s: 0", c.name)
			}
			parts = append(parts, part{c.name, c.used > c.allowed})
			texts = append(texts, fmt.Sprintf("%d %s (%d allowed)", c.used, c.name, c.allowed))
		}
		f.Evidence = fmt.Sprintf("in %v: %s", window.Round(time.Millisecond), strings.Join(texts, ", "))
		return f.of(parts...), err
	}
	return w, nil
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
// rounds. The middle one counts: in others one of the two may have waited for a CPU.
func IOShareKept(s *Stage) (*Watch, error) {
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
	beside, err := s.neighbour(attack.ReadBeside, attack.Target{Path: s.Rootfs + deviceNode, Bytes: 1 << 40, For: time.Second}, group)
	if err != nil {
		return nil, err
	}
	if said, err := beside.hears(); err != nil || said != "ok" {
		return nil, errors.Join(err, fmt.Errorf("the neighbour cannot read the device: %s", said))
	}
	w := &Watch{Target: attack.Target{Path: deviceNode, Bytes: 1 << 40, For: ioRound, Count: ioRounds}, Edits: edits}
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
	var mine, others, total uint64
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
		if mineNow == mine || othersNow == others {
			return fmt.Errorf("the device was not read by both: %d and %d bytes", mineNow-mine, othersNow-others)
		}
		mine, others = mineNow-mine, othersNow-others
		shares, total = append(shares, float64(mine)/float64(mine+others)), total+mine+others
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
		slices.Sort(shares)
		share := shares[len(shares)/2]
		return Finding{
			Breached: share > ioShareMost,
			Evidence: fmt.Sprintf("it read %.1f %% of %d bytes that two wanted; its weight allows 9 %%, twice the weight 16 %%, equal weights 50 %%", 100*share, total),
		}, nil
	}
	return w, nil
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
		return kernel.Unsupported("io.weight: the loop device has no bfq scheduler, of %s", strings.TrimSpace(string(b)))
	}
	if err := os.WriteFile(file, []byte("bfq"), 0); err != nil {
		return fmt.Errorf("choose a scheduler: %w", err)
	}
	s.Undo.Push("choose the old scheduler", func() error {
		return os.WriteFile(file, []byte(strings.Trim(words[old], "[]")), 0)
	})
	// By default it lets a fast device be shared as it comes: bfq-iosched.rst, 3. A budget of one block
	// makes turns so short that the shares are exact after some milliseconds.
	const bfqBudget = "128" // sectors
	for tunable, value := range map[string]string{"low_latency": "0", "strict_guarantees": "1", "max_budget": bfqBudget} {
		file := filepath.Join(filepath.Dir(file), "iosched", tunable)
		if err := os.WriteFile(file, []byte(value), 0); err != nil {
			return fmt.Errorf("tune the scheduler: %w", err)
		}
	}
	return nil
}
