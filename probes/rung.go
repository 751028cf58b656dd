package probes

// Rung is a way to attach to the kernel. A probe tries its own from the most telling one down.
type Rung string

// Rungs, the most telling one first.
const (
	FEntry        Rung = "fentry" // at the entry or exit of a kernel function, by a BPF trampoline
	TPBTF         Rung = "tp_btf" // at a tracepoint, with arguments whose types the verifier knows
	RawTracepoint Rung = "raw_tp" // at a tracepoint, with untyped arguments
	Files         Rung = "files"  // no program: the files of the cgroup are polled
)

// Rungs lists every rung from the most telling one down.
func Rungs() []Rung { return []Rung{FEntry, TPBTF, RawTracepoint, Files} }

// Attempt is a rung that was tried and could not be had.
type Attempt struct {
	Rung Rung
	Err  error
}
