package kernels

// Step is how far the work on one kernel is.
type Step struct {
	Phase string // "fetch linux-image-6.1.0-50-cloud-amd64", "unpack", ...
	Done  int64  // bytes
	Total int64  // bytes; 0 where it is not known
}

// Progress is told of every step. Nil is fine. It is called from one goroutine at a time.
type Progress func(Step)

func (p Progress) phase(phase string) {
	if p != nil {
		p(Step{Phase: phase})
	}
}

// bytes makes bytes of what is told in percent.
func (p Progress) bytes(phase string, total int64) func(percent float64) {
	p.phase(phase)
	return func(percent float64) {
		if p != nil && total > 0 {
			p(Step{Phase: phase, Done: int64(percent / 100 * float64(total)), Total: total})
		}
	}
}
