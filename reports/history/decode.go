package history

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"

	"cellwall/reports/record"
)

// head is what a history needs of a bench record beside its samples.
type head struct {
	Kind        record.Kind   `json:"kind"`
	Benchmark   string        `json:"benchmark"`
	Unit        record.Unit   `json:"unit"`
	Better      record.Better `json:"better"`
	Runtime     string        `json:"runtime"`
	Rung        string        `json:"rung"`
	Control     bool          `json:"control"`
	Unsupported string        `json:"unsupported"`
}

// level is what a history keeps of a bench record: the median of its samples.
type level struct {
	head
	median float64
}

// samplesKey is where the samples begin. JSON has no such bytes within a text, where a backslash is before
// each quote.
const samplesKey = `,"samples":[[`

// describe reads the first record of a run file, which is that of the run. What it cannot read it leaves to
// record.Read.
func describe(file string, first []byte) (record.Run, error) {
	var run record.Run
	if json.Unmarshal(first, &run) == nil && run.Kind == record.KindRun && run.ID != "" {
		return run, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return record.Run{}, fmt.Errorf("read a run: %w", err)
	}
	set, err := whole(file, text)
	if err != nil {
		return record.Run{}, err
	}
	return set.Runs[0], nil
}

// decode reads the bench records of a run file. It reads no more of them than a history needs, as Check has read
// all when the file was added, and its name says that it has not changed. What it cannot read it leaves to
// record.Read.
func decode(file string, text []byte) ([]level, error) {
	var levels []level
	for line := range bytes.Lines(text) {
		line = bytes.TrimRight(line, "\n")
		var l level
		at := bytes.Index(line, []byte(samplesKey))
		if at < 0 { // the run's own, or what is not supported
			if len(line) > 0 && (json.Unmarshal(line, &l.head) != nil || l.Kind == record.KindBench && l.Unsupported == "") {
				return slow(file, text)
			}
			continue
		}
		values, ok := valuesOf(line[at+len(samplesKey)-1:])
		if !ok || json.Unmarshal(append(slices.Clone(line[:at]), '}'), &l.head) != nil || l.Kind != record.KindBench {
			return slow(file, text)
		}
		l.median = median(values)
		levels = append(levels, l)
	}
	return levels, nil
}

// valuesOf reads the values of samples: "[0,0,0.0031,0.0029],[0,1,0.0032,0.0028]]}".
func valuesOf(text []byte) (values []float64, ok bool) {
	const before = 2 // the numbers of a sample in front of its value; one is behind it
	values = make([]float64, 0, bytes.Count(text, []byte{'['}))
	for {
		sample, rest, closed := bytes.Cut(text, []byte{']'})
		if !closed || len(sample) == 0 || sample[0] != '[' {
			return nil, false
		}
		for range before {
			_, sample, ok = bytes.Cut(sample, []byte{','})
			if !ok {
				return nil, false
			}
		}
		number, last, ok := bytes.Cut(sample, []byte{','})
		v, err := strconv.ParseFloat(string(number), 64)
		if !ok || err != nil || bytes.IndexByte(last, ',') >= 0 {
			return nil, false
		}
		values = append(values, v)
		if string(rest) == "]}" {
			return values, true
		}
		if text, ok = bytes.CutPrefix(rest, []byte{','}); !ok {
			return nil, false
		}
	}
}

// median of values that are not empty. It sorts them.
func median(values []float64) float64 {
	slices.Sort(values)
	n := len(values)
	return values[(n-1)/2]/2 + values[n/2]/2
}

// whole reads all of a file, and says what is wrong with it.
func whole(file string, text []byte) (record.Set, error) {
	set, err := record.Read(file, bytes.NewReader(text))
	if err == nil && len(set.Runs) != 1 {
		err = fmt.Errorf("%s: it holds %d runs: a run file has one", file, len(set.Runs))
	}
	return set, err
}

// slow is decode without a short cut.
func slow(file string, text []byte) ([]level, error) {
	set, err := whole(file, text)
	if err != nil {
		return nil, err
	}
	var levels []level
	for i := range set.Benches {
		b := &set.Benches[i]
		if b.Unsupported != "" {
			continue
		}
		levels = append(levels, level{
			head{Kind: record.KindBench, Benchmark: b.Benchmark, Unit: b.Unit, Better: b.Better, Runtime: b.Runtime, Rung: b.Rung, Control: b.Control},
			median(b.Values()),
		})
	}
	return levels, nil
}
