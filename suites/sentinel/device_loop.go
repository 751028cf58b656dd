package sentinel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/cgroup"
	"cellwall/runtime/spec"
	"cellwall/suites/attack"
)

// LoopDeviceRule is the edit that lets the container use the loop device of UnlistedUnread. The
// witness carries it out, since it alone knows the device's number.
const LoopDeviceRule = "a device rule for the canary's loop device"

const loopSize = 1 << 20

// UnlistedUnread is a loop device over a file with the nonce, and a node of it in the container's
// root directory. The target's Path is that node's, Key the device's number, and Name a
// directory to mount it on.
func UnlistedUnread(s *Stage) (*Watch, error) {
	if err := s.freeOf("nodev"); err != nil {
		return nil, err
	}
	image := filepath.Join(s.Dir, "loop")
	content := make([]byte, loopSize)
	copy(content, s.Nonce)
	if err := os.WriteFile(image, content, 0o600); err != nil {
		return nil, fmt.Errorf("make an image: %w", err)
	}
	device, err := s.loop(image)
	if err != nil {
		return nil, err
	}
	const node, own, point = "/canary-device", "/canary-device-own", "/canary-mount"
	if err := errors.Join(
		unix.Mknod(s.Rootfs+node, unix.S_IFBLK|0o666, int(device)), // a device number
		unix.Chmod(s.Rootfs+node, 0o666),                           // modes are not the barrier
		os.Mkdir(s.Rootfs+own, 0o755),
		unix.Chmod(s.Rootfs+own, 0o777),
		os.Mkdir(s.Rootfs+point, 0o755),
	); err != nil {
		return nil, fmt.Errorf("make a node of the loop device: %w", err)
	}
	given, unlisted := "", ""
	if s.Has(LoopDeviceRule) { // the control has to get to it
		given = deviceRule('b', device)
	}
	w := &Watch{
		Ready: func(_ context.Context, a *Subject) (err error) {
			unlisted, err = unlistedRule(a.Group, s.Fence, given)
			return err
		},
		Target: attack.Target{Path: node, Name: point, Key: int(device)}, // a device number
		Look: func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
			if err := MustTry(r, "open to read", "open to write", "mknod", "mount"); err != nil {
				return Finding{}, err
			}
			now, err := os.ReadFile(image)
			if err != nil {
				return Finding{}, fmt.Errorf("read the image: %w", err)
			}
			f := s.Returned(r)
			changed := !bytes.Equal(now, content)
			f.Evidence = fmt.Sprintf("the content of the loop device has changed: %v; %s", changed, f.Evidence)
			mounted, _ := answer(r, "mount")
			f.Evidence += "; mount answered " + errnoText(mounted)
			parts := []part{{"reading", f.Breached}, {"writing", changed}}
			// A mount that gets to the device finds no file system on it, or that we write to it; one that
			// does not get so far, as without ext4 (ENODEV), says nothing.
			switch mounted {
			case unix.EPERM, unix.EACCES:
				parts = append(parts, part{"mounting", false})
			case 0, unix.EINVAL, unix.EBUSY:
				parts = append(parts, part{"mounting", true})
			}
			if f = f.of(parts...); unlisted != "" {
				f.Breached = true
				f.Evidence += "; its group may use what is not listed: " + unlisted
			}
			return f, nil
		},
	}
	if s.Has(LoopDeviceRule) {
		w.Edits = append(w.Edits, spec.Change(LoopDeviceRule, func(c *specs.Spec) {
			major, minor := int64(unix.Major(device)), int64(unix.Minor(device))
			c.Linux.Resources.Devices = append(c.Linux.Resources.Devices,
				specs.LinuxDeviceCgroup{Allow: true, Type: "b", Major: &major, Minor: &minor, Access: "rwm"})
		}))
	}
	return w, nil
}

// loop makes a loop device over a file and returns its number. It goes with its last descriptor,
// also where the harness is killed.
func (s *Stage) loop(image string) (device uint64, err error) {
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return 0, fmt.Errorf("make a loop device: %w", err)
	}
	defer func() { err = errors.Join(err, control.Close()) }()
	file, err := os.OpenFile(image, os.O_RDWR, 0)
	if err != nil {
		return 0, fmt.Errorf("make a loop device: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	const attempts = 16 // somebody else may take the free one first
	for range attempts {
		n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return 0, fmt.Errorf("find a free loop device: %w", err)
		}
		fd, err := s.openLoop(n)
		if err != nil {
			return 0, fmt.Errorf("open loop device %d: %w", n, err)
		}
		err = unix.IoctlLoopConfigure(fd, &unix.LoopConfig{
			Fd:   uint32(file.Fd()), // a descriptor
			Info: unix.LoopInfo64{Flags: unix.LO_FLAGS_AUTOCLEAR},
		})
		if errors.Is(err, unix.EBUSY) {
			if err := unix.Close(fd); err != nil {
				return 0, err
			}
			continue
		}
		s.Undo.Push("release the loop device", func() error { return unix.Close(fd) })
		if err != nil {
			return 0, fmt.Errorf("set up loop device %d: %w", n, err)
		}
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil {
			return 0, fmt.Errorf("look at loop device %d: %w", n, err)
		}
		return st.Rdev, nil
	}
	return 0, errors.New("make a loop device: none stays free")
}

// openLoop opens a loop device. A /dev that is no devtmpfs, such as a privileged container's, has no node of
// one that was made since: it gets one on the stage.
func (s *Stage) openLoop(n int) (fd int, err error) {
	const flags = unix.O_RDWR | unix.O_CLOEXEC
	name := fmt.Sprintf("loop%d", n)
	if fd, err = unix.Open("/dev/"+name, flags, 0); !errors.Is(err, unix.ENOENT) {
		return fd, err
	}
	number, err := os.ReadFile("/sys/block/" + name + "/dev")
	if err != nil {
		return -1, err
	}
	var major, minor uint32
	if _, err := fmt.Sscanf(string(number), "%d:%d", &major, &minor); err != nil {
		return -1, fmt.Errorf("parse %q: %w", number, err)
	}
	node := filepath.Join(s.Dir, name)
	if err := unix.Mknod(node, unix.S_IFBLK|0o600, int(unix.Mkdev(major, minor))); err != nil && !errors.Is(err, unix.EEXIST) { // a device number
		return -1, fmt.Errorf("make a node: %w", err)
	}
	return unix.Open(node, flags, 0)
}

// unlistedRule returns the first rule of a group that lets it read or write another device than the
// default ones, a terminal or the one given, as no list of ours does: making nodes is another thing. Only
// v1 tells its rules: where it has none, and programs in v2 filter beside it more than they do in the fence, it
// says nothing.
func unlistedRule(g, fence *cgroup.Group, given string) (string, error) {
	dir := g.Path("devices")
	if dir == "" {
		return "", nil
	}
	rules, err := os.ReadFile(filepath.Join(dir, "devices.list"))
	if errors.Is(err, os.ErrNotExist) { // of v2
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read the rules for devices: %w", err)
	}
	unlisted := firstUnlisted(string(rules), given)
	if unlisted != "a *:* rwm" {
		return unlisted, nil
	}
	own, err := g.DevicePrograms()
	if err != nil {
		return "", err
	}
	fences, err := fence.DevicePrograms()
	if err == nil && own > fences {
		return "", nil
	}
	return unlisted, err
}

// firstUnlisted reads rules such as "c 1:3 rwm".
func firstUnlisted(rules, given string) string {
	// runc before 1.2 and crun let every container use /dev/net/tun, which makes interfaces of its own
	// network alone.
	listed := []string{given, deviceRule('c', unix.Mkdev(10, 200)), fmt.Sprintf("c %d:*", ptySlaves)}
	for _, d := range defaultNodes {
		listed = append(listed, deviceRule('c', d))
	}
	for rule := range strings.Lines(rules) {
		f := strings.Fields(rule)
		if len(f) == 3 && strings.ContainsAny(f[2], "rw") && !slices.Contains(listed, f[0]+" "+f[1]) {
			return strings.TrimSpace(rule)
		}
	}
	return ""
}

// deviceRule is a device as a rule names it.
func deviceRule(kind rune, device uint64) string {
	return fmt.Sprintf("%c %d:%d", kind, unix.Major(device), unix.Minor(device))
}
