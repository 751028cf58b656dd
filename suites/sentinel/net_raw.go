package sentinel

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"cellwall/suites/attack"
	"cellwall/suites/rtnetlink"
)

// forgeryWait is how long the host listens for a forged frame that has not come yet.
const forgeryWait = 30 * time.Millisecond

// ForgeriesUnseen captures on the host's end of a wire to the attacker, and asks the host's
// neighbour table for one that the attacker says has moved.
func ForgeriesUnseen(s *Stage) (*Watch, error) {
	w, err := s.wire()
	if err != nil {
		return nil, err
	}
	capture, frames, moved, held := -1, 0, false, false
	return w.jail.guard(&Watch{
		Target: attack.Target{Name: wireEnd, Address: allowed, Path: s.Nonce, Extra: w.inode},
		Ready: func(_ context.Context, a *Subject) error {
			if err := w.connect(a.PID, []string{allowed + "/24"}, []string{"192.0.2.2/24"}); err != nil {
				return err
			}
			return w.host.inside(func() error {
				if err := addNeighbour(w.link); err != nil {
					return err
				}
				capture, err = s.capture(w.link)
				return err
			})
		},
		Hold: func(context.Context, string, *Subject) error {
			held = true
			if frames, err = countFrames(capture, s.Nonce, forgeryWait); err != nil {
				return err
			}
			return w.host.inside(func() error { moved, err = neighbourMoved(); return err })
		},
		Look: func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
			if !held {
				return Finding{}, errors.New("the attacker did not come to its end")
			}
			f := Finding{Evidence: fmt.Sprintf("%d forged frames came over the host's link; its neighbour table was changed: %v", frames, moved)}
			return f.of(part{"one forgery of two", frames > 0}, part{"the other", frames > 1}, part{"the neighbour table", moved}),
				MustTry(r, "socket AF_PACKET", "socket SOCK_RAW")
		},
	}), nil
}

// addNeighbour lets the host know the neighbour that is going to be forged.
func addNeighbour(link string) error {
	index, err := rtnetlink.Index(link)
	if err != nil {
		return err
	}
	header := make([]byte, unix.SizeofNdMsg) // struct ndmsg of rtnetlink(7)
	header[0] = unix.AF_INET
	binary.NativeEndian.PutUint32(header[4:], uint32(index)) // a link's index is positive
	binary.NativeEndian.PutUint16(header[8:], unix.NUD_STALE)
	return rtnetlink.Route("add a neighbour", attack.NewNetlink(unix.RTM_NEWNEIGH, attack.Create, header).
		Attr(unix.NDA_DST, attack.ForgedNeighbour.AsSlice()).Attr(unix.NDA_LLADDR, []byte{2, 0, 0, 0, 0, 0x77}))
}

// neighbourMoved reads the calling thread's neighbour table.
func neighbourMoved() (bool, error) {
	table, err := os.ReadFile("/proc/thread-self/net/arp")
	if err != nil {
		return false, fmt.Errorf("read the neighbour table: %w", err)
	}
	for line := range strings.Lines(string(table)) {
		fields := strings.Fields(line)
		if len(fields) > 3 && fields[0] == attack.ForgedNeighbour.String() {
			return fields[3] == net.HardwareAddr(attack.ForgedMAC).String(), nil
		}
	}
	return false, errors.New("the neighbour is gone from the host's table")
}

// capture listens to all that comes over a link of the calling thread's namespace.
func (s *Stage) capture(link string) (int, error) {
	index, err := rtnetlink.Index(link)
	if err != nil {
		return -1, err
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, fmt.Errorf("capture on %s: %w", link, err)
	}
	s.Undo.Push("end the capture", func() error { return unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: index, Protocol: attack.NetworkOrder(unix.ETH_P_ALL)}); err != nil {
		return -1, fmt.Errorf("capture on %s: %w", link, err)
	}
	return fd, nil
}

// countFrames counts those with a mark, until none has come for a while.
func countFrames(fd int, mark string, wait time.Duration) (n int, err error) {
	frame := make([]byte, 2048)
	for {
		ready, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(wait.Milliseconds()))
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || ready == 0 {
			return n, err
		}
		size, _, err := unix.Recvfrom(fd, frame, 0)
		if err != nil {
			return n, fmt.Errorf("read the capture: %w", err)
		}
		if bytes.Contains(frame[:size], []byte(mark)) {
			n++
		}
	}
}
