package sentinel

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
	"cellwall/suites/attack"
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
	type moment struct {
		at            time.Time
		offered, sent uint64 // bytes: by the attacker's wire, to the sink
	}
	seen := map[string]moment{}
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
				return limitRate(bandwidthSink)
			})
		},
		Hold: func(_ context.Context, name string, _ *Subject) error {
			return w.host.inside(func() error {
				at := time.Now()
				offered, _, err := linkBytes(w.link)
				_, sent, err2 := linkBytes(bandwidthSink)
				seen[name] = moment{at: at, offered: offered, sent: sent}
				return errors.Join(err, err2)
			})
		},
		Look: func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
			start, end := seen["start"], seen["end"]
			if end.at.IsZero() {
				return Finding{}, errors.New("the attacker did not come to its end")
			}
			limit := bandwidth*end.at.Sub(start.at).Seconds() + bandwidthBurst
			got, offered := float64(end.sent-start.sent), float64(end.offered-start.offered)
			f := Finding{
				Breached: got > bandwidthOver*limit,
				Evidence: fmt.Sprintf("%.0f bytes left the host in %v, of %.0f that the limit allows", got, end.at.Sub(start.at).Round(time.Millisecond), limit),
			}
			if offered < bandwidthOver*limit || got == 0 {
				return f, fmt.Errorf("the flood was no flood: %.0f bytes came from the container; %s", offered, f.Evidence)
			}
			return f, MustTry(r, "flood")
		},
	}), nil
}

// bridge joins links of the calling thread's namespace.
func bridge(links ...string) error {
	const name = "bridge0"
	err := route("make a bridge", attack.NewNetlink(unix.RTM_NEWLINK, attack.Create, attack.LinkHeader(0, 0)).
		Text(unix.IFLA_IFNAME, name).
		Nest(unix.IFLA_LINKINFO, nil, func(info *attack.Netlink) { info.Text(unix.IFLA_INFO_KIND, "bridge") }))
	if errors.Is(err, unix.EOPNOTSUPP) {
		return kernel.Unsupported("bridge: this kernel has no such links, nor a module of them")
	}
	if err != nil {
		return err
	}
	master, err := linkIndex(name)
	if err != nil {
		return err
	}
	for _, l := range links {
		index, err := linkIndex(l)
		if err != nil {
			return err
		}
		if err := route("put "+l+" into the bridge", attack.NewNetlink(unix.RTM_NEWLINK, unix.NLM_F_ACK, attack.LinkHeader(index, 0)).
			Word(unix.IFLA_MASTER, uint32(master))); err != nil { // a link's index is positive
			return err
		}
	}
	return linkUp(name)
}

// limitRate puts a token bucket at the root of a link of the calling thread's namespace.
func limitRate(link string) error {
	index, err := linkIndex(link)
	if err != nil {
		return err
	}
	header := make([]byte, 20)                               // struct tcmsg of linux/rtnetlink.h
	binary.NativeEndian.PutUint32(header[4:], uint32(index)) // a link's index is positive
	binary.NativeEndian.PutUint32(header[12:], ^uint32(0))   // TC_H_ROOT
	// struct tc_tbf_qopt of linux/pkt_sched.h: two struct tc_ratespec, limit, buffer, mtu.
	options := make([]byte, 36)
	const linkEthernet = 1 // TC_LINKLAYER_ETHERNET: the rate table is not needed
	options[1] = linkEthernet
	binary.NativeEndian.PutUint32(options[8:], bandwidth)
	binary.NativeEndian.PutUint32(options[24:], 2*bandwidthBurst) // bytes that may wait
	const tbfParms, tbfBurst = 1, 6                               // TCA_TBF_PARMS, TCA_TBF_BURST
	err = route("limit the rate of "+link, attack.NewNetlink(unix.RTM_NEWQDISC, attack.Create, header).
		Text(unix.TCA_KIND, "tbf").
		Nest(unix.TCA_OPTIONS, nil, func(o *attack.Netlink) { o.Attr(tbfParms, options).Word(tbfBurst, bandwidthBurst) }))
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EOPNOTSUPP) {
		return kernel.Unsupported("tc-tbf(8): this kernel has no token bucket, nor a module of it")
	}
	return err
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
