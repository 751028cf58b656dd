package record

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// KindBench is the kind of the samples of one benchmark on one subject.
const KindBench Kind = "bench"

// Unit is what the values of a benchmark are counted in.
type Unit string

// Units of measurement.
const (
	Seconds   Unit = "s"
	Bytes     Unit = "bytes"
	PerSecond Unit = "1/s"
	Ratio     Unit = "ratio"
)

// Units lists every unit.
func Units() []Unit { return []Unit{Seconds, Bytes, PerSecond, Ratio} }

// Better says which values of a benchmark are the good ones.
type Better string

// Which values are better.
const (
	Lower  Better = "lower"
	Higher Better = "higher"
	One    Better = "one" // the nearer to 1 the better: a limit that is met exactly
)

// Betters lists every Better.
func Betters() []Better { return []Better{Lower, Higher, One} }

// Bench is what one subject has shown of one benchmark: raw samples, never means. It is written
// behind the run record that its Run names.
type Bench struct {
	Header
	Run            string   `json:"run"`
	Benchmark      string   `json:"benchmark"` // "start.exec"
	Group          string   `json:"group"`
	Unit           Unit     `json:"unit"`
	Better         Better   `json:"better"`
	Doc            string   `json:"doc,omitempty"`
	Subject        string   `json:"subject"` // unique in a run: "core", "core at limits", "old"
	Runtime        string   `json:"runtime"`
	RuntimeVersion string   `json:"runtime_version"`
	Rung           string   `json:"rung"`
	Program        string   `json:"program,omitempty"` // the cellwall that took the samples, where it is not the one that ran them
	Lacks          []string `json:"lacks,omitempty"`   // as in Runtime
	// Control marks the measure that all subjects share, such as fork and exec without a container. It is
	// interleaved with them; its unit may be another than theirs.
	Control bool    `json:"control,omitempty"`
	Seed    uint64  `json:"seed"`              // of the order of this benchmark's subjects
	Warmup  int     `json:"warmup"`            // samples before the first block, which are not here
	Planted float64 `json:"planted,omitempty"` // a slowdown on purpose: 0.05 is 5 % of the subject's own median
	// Unsupported is why there are no samples: what the kernel, the host or the runtime lacks.
	Unsupported string   `json:"unsupported,omitempty"`
	Samples     []Sample `json:"samples,omitempty"`

	line string // where Read has found it: "FILE:LINE"
}

// Where is the place that the record was read from, as "FILE:LINE"; empty if it was not.
func (b *Bench) Where() string { return b.line }

// Values returns the values of all samples, in the order in which they were taken.
func (b *Bench) Values() []float64 {
	values := make([]float64, len(b.Samples))
	for i, s := range b.Samples {
		values[i] = s.Value
	}
	return values
}

// CPU returns the CPU times of all samples in seconds, in the order in which they were taken.
func (b *Bench) CPU() []float64 {
	times := make([]float64, len(b.Samples))
	for i, s := range b.Samples {
		times[i] = s.CPU
	}
	return times
}

// Sample is one measurement. It is written as [block, seq, value, cpu].
type Sample struct {
	Block int     // the block of the interleaving, from 0: within one, all subjects are measured in both orders
	Seq   int     // the place among all samples of the benchmark in this run, from 0
	Value float64 // in the benchmark's unit; wall-clock time for Seconds
	CPU   float64 // seconds of CPU time that the launcher's side took meanwhile; 0 where it was not counted
}

// sampleLen is how many numbers a sample is written as.
const sampleLen = 4

// MarshalJSON writes a sample as an array: there are many.
func (s Sample) MarshalJSON() ([]byte, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	b := []byte{'['}
	b = strconv.AppendInt(b, int64(s.Block), 10)
	b = append(b, ',')
	b = strconv.AppendInt(b, int64(s.Seq), 10)
	for _, f := range []float64{s.Value, s.CPU} {
		b = append(b, ',')
		b = strconv.AppendFloat(b, f, 'g', -1, 64)
	}
	return append(b, ']'), nil
}

// UnmarshalJSON reads what MarshalJSON writes. It is by hand, since a history has millions of samples; the
// text is JSON already, so that a number is one of JSON's.
func (s *Sample) UnmarshalJSON(text []byte) error {
	list := strings.TrimSpace(string(text))
	inner, ok := strings.CutPrefix(strings.TrimSuffix(list, "]"), "[")
	var numbers [sampleLen]float64
	n := 0
	for part := range strings.SplitSeq(inner, ",") {
		x, err := strconv.ParseFloat(strings.TrimSpace(part), 64)
		if err != nil || n == sampleLen {
			ok = false
			break
		}
		numbers[n] = x
		n++
	}
	if !ok || n != sampleLen {
		return fmt.Errorf("sample %.40q: want four numbers, [block, seq, value, cpu]", text)
	}
	const most = 1 << 31
	for _, x := range numbers[:2] {
		if x != math.Trunc(x) || x < 0 || x >= most {
			return fmt.Errorf("sample %.40q: block and seq are whole numbers from 0", text)
		}
	}
	*s = Sample{Block: int(numbers[0]), Seq: int(numbers[1]), Value: numbers[2], CPU: numbers[3]}
	return s.check()
}

func (s Sample) check() error {
	for _, f := range []float64{s.Value, s.CPU} {
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return fmt.Errorf("sample %d: %g is no measurement: it is a finite number", s.Seq, f)
		}
	}
	if s.CPU < 0 {
		return fmt.Errorf("sample %d: %g s of CPU time is no measurement", s.Seq, s.CPU)
	}
	return nil
}

func (b *Bench) check() error {
	switch {
	case b.Benchmark == "":
		return errors.New("bench without benchmark")
	case b.Run == "":
		return fmt.Errorf("bench %.40q: it names no run", b.Benchmark)
	case b.Subject == "":
		return fmt.Errorf("bench %.40q: it names no subject", b.Benchmark)
	case !slices.Contains(Units(), b.Unit):
		return fmt.Errorf("bench %.40q: unit %.20q is none of %v", b.Benchmark, b.Unit, Units())
	case !slices.Contains(Betters(), b.Better):
		return fmt.Errorf("bench %.40q: better %.20q is none of %v", b.Benchmark, b.Better, Betters())
	case b.Unsupported == "" && len(b.Samples) == 0:
		return fmt.Errorf("bench %.40q on %.40q: it has neither samples nor a reason for that", b.Benchmark, b.Subject)
	case b.Unsupported != "" && len(b.Samples) > 0:
		return fmt.Errorf("bench %.40q on %.40q: it is unsupported and has samples all the same", b.Benchmark, b.Subject)
	}
	for i := range b.Samples {
		if err := b.Samples[i].check(); err != nil {
			return fmt.Errorf("bench %.40q on %.40q: %w", b.Benchmark, b.Subject, err)
		}
		// A difference of bytes can be negative where the host frees more meanwhile; nothing else can.
		if v := b.Samples[i].Value; v < 0 && b.Unit != Bytes {
			return fmt.Errorf("bench %.40q on %.40q: sample %d: %g %s is no measurement", b.Benchmark, b.Subject, b.Samples[i].Seq, v, b.Unit)
		}
		if i > 0 && b.Samples[i].Seq <= b.Samples[i-1].Seq {
			return fmt.Errorf("bench %.40q on %.40q: sample %d comes after sample %d", b.Benchmark, b.Subject, b.Samples[i].Seq, b.Samples[i-1].Seq)
		}
	}
	return nil
}

// Bench writes a bench record.
func (w *Writer) Bench(b Bench) error {
	b.Header = Header{Schema: Schema, Kind: KindBench}
	b.Unsupported = Clean(b.Unsupported, MaxText)
	if err := b.check(); err != nil {
		return fmt.Errorf("write record: %w", err)
	}
	return w.write(b)
}
