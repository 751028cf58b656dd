package sentinel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
	"cellwall/suites/attack"
)

// Limits of the baits and how far the attacks go.
const (
	fileLimit, fileBound = 64 << 10, 256 << 10
	deviceBytes          = 4 << 20
	ioWindow             = 250 * time.Millisecond
	ioBytesRate          = 4 << 20 // a second
	ioOpsRate            = 200
	ioBound              = 512 // calls of each kind
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
	if err := s.freeOf("nodev"); err != nil {
		return 0, nil, err
	}
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

// ioUse is what a device has carried out since it was made.
type ioUse struct{ readBytes, writtenBytes, reads, writes uint64 }

// uncounted says why a device's use cannot be seen, by its queue/iostats: a rule of udev may have turned that
// off (Documentation/block/queue-sysfs.rst).
func uncounted(file string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("ask whether the device's use is counted: %w", err)
	}
	if strings.TrimSpace(string(b)) == "0" {
		return kernel.Unsupported("the use of the trial's device is not counted, since %s is 0: see what sets it, such as a rule of udev", file)
	}
	return nil
}

// useOf asks the kernel for a device's use: Documentation/block/stat.rst. Only the attacker is
// given a device of the trial's; what udev reads to identify it is small.
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
		if err := uncounted(fmt.Sprintf("/sys/dev/block/%s/queue/iostats", deviceName(number))); err != nil {
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
		use := &after
		if name == "begin" {
			use, begun = &before, time.Now() // the time is taken outside of what it is held against, as in spent
		}
		for i, number := range numbers {
			if use[i], err = useOf(number); err != nil {
				return err
			}
		}
		if name == "end" {
			window = time.Since(begun)
		}
		return nil
	}
	w.Look = func(_ context.Context, _ *Subject, r attack.Record) (f Finding, err error) {
		if err := MustTry(r, "read "+w.Target.Paths[1], "write "+w.Target.Paths[1]); err != nil {
			return f, err
		}
		return exceeded(before, after, window)
	}
	return w, nil
}

// exceeded compares what the devices carried out in a window with the limits: bytes of the first, and
// operations of the second.
func exceeded(before, after [2]ioUse, window time.Duration) (f Finding, err error) {
	if window == 0 {
		return f, errors.New("the attacker did not hold at the end")
	}
	// The kernel gives out the budget in slices of 100 ms, at their begin, and one that begins late has
	// some of another. Twice the rate gives 2 times the window.
	allowed := func(rate float64) uint64 { return uint64(rate * (window + 150*time.Millisecond).Seconds() * 1.1) }
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
