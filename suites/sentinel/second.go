package sentinel

import (
	"fmt"
	"time"

	"cellwall/probes"
	"cellwall/runtime/cgroup"
)

// How far a probe and a file of a cgroup may lie apart: in parts of the time, and for each of its
// episodes, since the two do not read the clock at the same instant. In between a hypervisor may take
// the CPU away, seldom more than once in a trial. Counts have to be equal.
const (
	probeApart   = 0.005
	episodeApart = 100 * time.Microsecond
	stolen       = 5 * time.Millisecond
)

// second is a second witness to what a cgroup's files count: a probe in the kernel that counts it
// on its own, from the first moment of the cgroup on. Where the kernel grants none the files stand
// alone.
type second struct {
	probe *probes.Probe
	why   error // there is no probe
}

func (s *Stage) second(name string) *second {
	c := &second{why: fmt.Errorf("no probe %s is attached", name)}
	if s.Probe != nil {
		c.probe, c.why = s.Probe(name)
	}
	return c
}

// says compares what the probe saw in a group with what a file says, once all is over there. It
// returns half a sentence on the probe, and an error if the two do not agree: then nobody knows
// which of them is wrong.
func (c *second) says(g *cgroup.Group, count uint64, length time.Duration) (string, error) {
	if why := c.why; why != nil {
		return fmt.Sprintf("no probe was there to say so too (%v)", why), nil
	}
	_, controller, err := probes.Describe(c.probe.Name())
	if err != nil {
		return "", err
	}
	total, err := c.probe.Total(g.Path(controller))
	if err != nil {
		return "", err
	}
	lost, err := c.probe.Lost()
	if err != nil {
		return "", err
	}
	if lost.States > 0 {
		return "", fmt.Errorf("probe %s could not keep %d beginnings", c.probe.Name(), lost.States)
	}
	if length == 0 && total.Length == 0 || c.probe.Name() != "throttle" {
		if total.Count != count {
			return "", fmt.Errorf("probe %s saw %d, the cgroup's file says %d", c.probe.Name(), total.Count, count)
		}
		return fmt.Sprintf("probe %s (%s) saw %d", c.probe.Name(), c.probe.Rung(), total.Count), nil
	}
	apart := total.Length - length
	most := time.Duration(probeApart*float64(length)) + time.Duration(total.Count)*episodeApart + stolen // of one trial
	if apart.Abs() > most {
		return "", fmt.Errorf("probe throttle saw %v in %d episodes, the cgroup's file says %v: more than %v apart", total.Length, total.Count, length, most)
	}
	return fmt.Sprintf("probe throttle (%s) saw %v in %d episodes", c.probe.Rung(), total.Length, total.Count), nil
}
