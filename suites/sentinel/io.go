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
	readRate             = 4 << 20 // bytes a second
	readWindow           = 300 * time.Millisecond
	readBound            = 16 << 20
	ioShareWindow        = 150 * time.Millisecond
	ioWeightBait         = 100
	ioWeightNeighbour    = 2000
	ioShareMost          = 0.3 // between the tenth that it may have and the half of equal weights
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
// directory that any user may read, and the edit that allows it.
func (s *Stage) device(node string) (number uint64, edits spec.Edits, err error) {
	image := filepath.Join(s.Dir, "device")
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
			r.Devices = append(r.Devices, specs.LinuxDeviceCgroup{Allow: true, Type: "b", Major: &major, Minor: &minor, Access: "r"})
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

// RateKept counts the bytes that the attacker reads from a device in a window of time.
func RateKept(s *Stage) (*Watch, error) {
	number, edits, err := s.device(deviceNode)
	if err != nil {
		return nil, err
	}
	w := &Watch{Target: attack.Target{Path: deviceNode, Bytes: readBound, For: readWindow}}
	w.Edits = append(edits, s.limited(func(sp *specs.Spec) {
		d := specs.LinuxThrottleDevice{Rate: readRate}
		d.Major, d.Minor = int64(unix.Major(number)), int64(unix.Minor(number))
		sp.Linux.Resources.BlockIO = &specs.LinuxBlockIO{ThrottleReadBpsDevice: []specs.LinuxThrottleDevice{d}}
	})...)
	var begun time.Time
	var window time.Duration
	var before, read uint64
	w.Hold = func(_ context.Context, name string, a *Subject) (err error) {
		switch name {
		case "begin":
			begun = time.Now()
			before, err = a.readBytes()
		case "read":
			window = time.Since(begun)
			read, err = a.readBytes()
			read -= before
		}
		return err
	}
	w.Look = func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
		if err := MustTry(r, "read the device"); err != nil {
			return Finding{}, err
		}
		// The kernel gives out the budget in slices of 100 ms, at their begin. Twice the rate gives
		// 2 times the window.
		allowed := uint64(float64(readRate) * (window + 100*time.Millisecond).Seconds() * 1.1)
		f := Finding{
			Breached: read > allowed,
			Evidence: fmt.Sprintf("with %d bytes a second it read %d in %v (%d allowed)", readRate, read, window.Round(time.Millisecond), allowed),
		}
		if read == 0 {
			return f, errors.New("the attacker did not get to read the device: no bytes were read")
		}
		return f, nil
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

// IOShareKept compares what the attacker and a neighbour read from a device that both want.
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
	beside, err := s.neighbour(attack.ReadBeside, attack.Target{Path: s.Rootfs + deviceNode, Bytes: 1 << 40, For: ioShareWindow + time.Second}, group)
	if err != nil {
		return nil, err
	}
	if said, err := beside.hears(); err != nil || said != "ok" {
		return nil, errors.Join(err, fmt.Errorf("the neighbour cannot read the device: %s", said))
	}
	w := &Watch{Target: attack.Target{Path: deviceNode, Bytes: 1 << 40, For: ioShareWindow}, Edits: edits}
	if s.Rung.Covers(spec.Limits) {
		w.Edits = append(w.Edits, WithIOWeight(ioWeightBait))
	}
	var before, mine, others uint64
	read := func(g *cgroup.Group) (uint64, error) {
		stat, err := g.Stat()
		return stat.IO[deviceName(number)].Rbytes, err
	}
	w.Hold = func(_ context.Context, name string, a *Subject) (err error) {
		if name == "begin" {
			if err := beside.begin(); err != nil {
				return err
			}
			before, err = read(group)
			return err
		}
		if mine, err = a.readBytes(); err != nil {
			return err
		}
		// Anybody on the host may change it, and then the weights say nothing.
		if now, err := os.ReadFile(scheduler(number)); err != nil || !strings.Contains(string(now), "[bfq]") {
			return errors.Join(err, fmt.Errorf("the loop device's scheduler has become %s", now))
		}
		others, err = read(group)
		return err
	}
	w.Look = func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
		if mine == 0 || others == before {
			return Finding{}, fmt.Errorf("the device was not read by both: %d and %d bytes", mine, others-before)
		}
		share := float64(mine) / float64(mine+others-before)
		return Finding{
			Breached: share > ioShareMost,
			Evidence: fmt.Sprintf("it read %.0f %% of %d bytes that two wanted; its weight allows 10 %%, equal weights 50 %%", 100*share, mine+others-before),
		}, MustTry(r, "read the device")
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
	// By default it lets a fast device be shared as it comes: bfq-iosched.rst, 3.
	for tunable, value := range map[string]string{"low_latency": "0", "strict_guarantees": "1"} {
		file := filepath.Join(filepath.Dir(file), "iosched", tunable)
		if err := os.WriteFile(file, []byte(value), 0); err != nil {
			return fmt.Errorf("tune the scheduler: %w", err)
		}
	}
	return nil
}
