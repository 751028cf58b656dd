package probes

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cilium/ebpf"
)

// totalBytes is the size of a total in its map: count, length, buckets, each of eight bytes.
const totalBytes = 8 * (2 + Buckets)

// Totals are those of every watched cgroup that the probe has seen something of, by id. On the
// rung Files they count what was read so far.
func (p *Probe) Totals() ([]Total, error) {
	if p.poll != nil {
		return p.poll.totals(), nil
	}
	var all []Total
	var id uint64
	value := make([]byte, totalBytes)
	entries := p.session.totals.Iterate()
	for entries.Next(&id, &value) {
		if t := parseTotal(id, value); t.Count > 0 {
			all = append(all, t)
		}
	}
	if err := entries.Err(); err != nil {
		return nil, fmt.Errorf("read totals of %s: %w", p.Name(), err)
	}
	slices.SortFunc(all, func(a, b Total) int {
		if a.Cgroup < b.Cgroup {
			return -1
		}
		return 1
	})
	return all, nil
}

// Total is that of the cgroup of one watched directory.
func (p *Probe) Total(dir string) (Total, error) {
	id, err := CgroupID(dir)
	if err != nil {
		return Total{}, err
	}
	if p.poll != nil {
		return p.poll.total(id)
	}
	value := make([]byte, totalBytes)
	err = p.session.totals.Lookup(id, &value)
	if errors.Is(err, ebpf.ErrKeyNotExist) && (p.session.each || p.session.all) {
		return Total{Cgroup: id}, nil // nothing has been seen of it
	}
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return Total{}, fmt.Errorf("cgroup %s is not watched", dir)
	}
	if err != nil {
		return Total{}, fmt.Errorf("read total of %s: %w", dir, err)
	}
	return parseTotal(id, value), nil
}

func parseTotal(id uint64, value []byte) Total {
	word := func(i int) uint64 { return binary.NativeEndian.Uint64(value[8*i:]) }
	t := Total{Cgroup: id, Count: word(0), Length: time.Duration(word(1))} // of one run
	for i := range t.Buckets {
		t.Buckets[i] = word(2 + i)
	}
	return t
}

// Lost is what a probe could not tell. A verdict that rests on a probe with losses is none.
type Lost struct {
	Events uint64 `json:"events"` // the reader was too slow for the ring buffer; totals count them all the same
	States uint64 `json:"states"` // a map of what had begun was full, so that no total counts it
}

// Lost counts the losses so far.
func (p *Probe) Lost() (Lost, error) {
	if p.poll != nil {
		return Lost{}, nil
	}
	var n [losses]uint64
	for i := range n {
		if err := p.session.lost.Lookup(uint32(i), &n[i]); err != nil {
			return Lost{}, fmt.Errorf("read losses of %s: %w", p.Name(), err)
		}
	}
	return Lost{Events: n[lostEvents], States: n[lostStates]}, nil
}
