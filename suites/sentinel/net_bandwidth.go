package sentinel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"cellwall/runtime/spec"
	"cellwall/suites/attack"
	"cellwall/suites/rtnetlink"
)

// NoQdisc is the edit that leaves out the queueing discipline of BandwidthKept. It is the
// witness's to carry out: the discipline is on the host. Rungs without limits have none either.
const NoQdisc = "no queueing discipline on the host"

const (
	bandwidth       = 2 << 20 // bytes a second
	bandwidthBurst  = 32 << 10
	bandwidthWindow = 100 * time.Millisecond
	bandwidthBytes  = 64 << 20 // what the attacker sends at most
	// The limit counts as kept up to 15 % above it, and as tried where the attacker sends that much.
	bandwidthOver = 1.15
)

// bandwidthSink is the link of the stand-in host that leads to the sink.
const bandwidthSink = "sink0"

// BandwidthKept counts what leaves the host for a sink, on the link behind a bridge to which the
// attacker's wire leads, while the attacker floods. The host's end of that link has the limit.
func BandwidthKept(s *Stage) (*Watch, error) {
	w, err := s.wire()
	if err != nil {
		return nil, err
	}
	sink, err := s.standIn(unix.CLONE_NEWNET)
	if err != nil {
		return nil, err
	}
	seen := map[string]carried{}
	return w.jail.guard(&Watch{
		Target: attack.Target{Address: allowed, For: bandwidthWindow, Bytes: bandwidthBytes},
		Ready: func(_ context.Context, a *Subject) error {
			if err := w.connect(a.PID, nil, []string{"192.0.2.2/24"}); err != nil {
				return err
			}
			if err := w.host.wireTo(sink.NamespacePath("net"), bandwidthSink, "sink1", nil, []string{allowed + "/24"}); err != nil {
				return err
			}
			return w.host.inside(func() error {
				if err := bridge(w.link, bandwidthSink); err != nil || s.Has(NoQdisc) || !s.Rung.Covers(spec.Limits) {
					return err
				}
				return rtnetlink.Shape(bandwidthSink, bandwidth, bandwidthBurst, 2*bandwidthBurst)
			})
		},
		Hold: func(_ context.Context, name string, _ *Subject) error {
			return w.host.inside(func() error {
				p := carried{before: time.Now()}
				var err, err2 error
				p.offered, _, err = linkBytes(w.link)
				_, p.sent, err2 = linkBytes(bandwidthSink)
				p.after = time.Now()
				seen[name] = p
				return errors.Join(err, err2)
			})
		},
		Look: func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
			f, err := flooded(seen["start"], seen["end"])
			if err != nil {
				return f, err
			}
			return f, MustTry(r, "flood")
		},
	}), nil
}

// carried is what had passed the links between two moments: bytes by the attacker's wire, and to the sink.
type carried struct {
	before, after time.Time
	offered, sent uint64
}

// flooded holds what left the host between two readings against the limit. The window is the widest that the
// readings may be apart: a busy host may stop us within one, while the queue empties.
func flooded(start, end carried) (Finding, error) {
	if end.after.IsZero() {
		return Finding{}, errors.New("the attacker did not come to its end")
	}
	window := end.after.Sub(start.before)
	limit := bandwidth*window.Seconds() + bandwidthBurst
	got, offered := float64(end.sent-start.sent), float64(end.offered-start.offered)
	f := Finding{
		Breached: got > bandwidthOver*limit,
		Evidence: fmt.Sprintf("%.0f bytes left the host in %v, of %.0f that the limit allows", got, window.Round(time.Millisecond), limit),
	}
	if offered < bandwidthOver*limit || got == 0 {
		return f, fmt.Errorf("the flood was no flood: %.0f bytes came from the container; %s", offered, f.Evidence)
	}
	return f, nil
}

// bridge joins links of the calling thread's namespace.
func bridge(links ...string) error {
	const name = "bridge0"
	if err := rtnetlink.Bridge(name); err != nil {
		return err
	}
	for _, l := range links {
		if err := rtnetlink.Enslave(l, name); err != nil {
			return err
		}
	}
	return rtnetlink.Up(name)
}

// linkBytes reads what a link of the calling thread's namespace has received and sent: proc_pid_net(5).
func linkBytes(link string) (received, sent uint64, err error) {
	table, err := os.ReadFile("/proc/thread-self/net/dev")
	if err != nil {
		return 0, 0, fmt.Errorf("count bytes: %w", err)
	}
	for line := range strings.Lines(string(table)) {
		name, counters, ok := strings.Cut(strings.TrimSpace(line), ":")
		const behind = 8 // eight for what was received, then those for what was sent
		if fields := strings.Fields(counters); ok && name == link && len(fields) > behind {
			received, err = strconv.ParseUint(fields[0], 10, 64)
			if err == nil {
				sent, err = strconv.ParseUint(fields[behind], 10, 64)
			}
			return received, sent, err
		}
	}
	return 0, 0, fmt.Errorf("count bytes: no link %s", link)
}
