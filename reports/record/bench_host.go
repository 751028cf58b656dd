package record

// Benching is what a run record says of a run of benchmarks.
type Benching struct {
	Seed uint64 `json:"seed"` // from which the seed of every benchmark is made
	// Rule is when a benchmark ends, fixed before it begins: "40 samples", "60 s for 12 benchmarks",
	// "2% wide, at most 400 samples".
	Rule    string  `json:"rule"`
	Effect  float64 `json:"effect,omitempty"` // the smallest change that was to be found: 0.05 is 5 %
	Before  Host    `json:"before"`
	After   Host    `json:"after"`
	Stopped string  `json:"stopped,omitempty"` // why the run is not complete
}

// Host is the state of the host at one moment: what makes measurements noisy. A nil pointer is what the
// host does not tell.
type Host struct {
	Governor string     `json:"governor,omitempty"` // of the first CPU; empty where no kernel driver sets a frequency
	Load     [3]float64 `json:"load"`               // loadavg of 1, 5 and 15 minutes
	Runnable int        `json:"runnable"`           // tasks that ran or wanted to, this one among them
	// The others count since boot, or since the group was made.
	StealTicks    uint64  `json:"steal_ticks"` // of USER_HZ, by /proc/stat: taken by the hypervisor
	CPUTicks      uint64  `json:"cpu_ticks"`   // all of them, for a share
	SwapIn        uint64  `json:"swap_in"`     // pages
	SwapOut       uint64  `json:"swap_out"`
	ThrottledUsec *uint64 `json:"throttled_usec,omitempty"` // of our own cgroup
}

// Stolen is the share of CPU time that the hypervisor took between two states, from 0 to 1.
func (h Host) Stolen(later Host) float64 {
	if later.CPUTicks <= h.CPUTicks || later.StealTicks < h.StealTicks {
		return 0
	}
	return float64(later.StealTicks-h.StealTicks) / float64(later.CPUTicks-h.CPUTicks)
}

// Throttled is how long our own cgroup was throttled between two states, in seconds.
func (h Host) Throttled(later Host) float64 {
	if h.ThrottledUsec == nil || later.ThrottledUsec == nil || *later.ThrottledUsec < *h.ThrottledUsec {
		return 0
	}
	const usec = 1e-6
	return float64(*later.ThrottledUsec-*h.ThrottledUsec) * usec
}

// Swapped is how many pages were swapped between two states.
func (h Host) Swapped(later Host) uint64 {
	before, after := h.SwapIn+h.SwapOut, later.SwapIn+later.SwapOut
	if after < before {
		return 0
	}
	return after - before
}
