package record

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
)

// MaxLine is the longest record, in bytes with its newline. It leaves room for a verdict whose
// texts are all at their limits and made of bytes that JSON writes as six.
const MaxLine = 16 << 20

// Writer appends records to a stream, one JSON object a line, each by a single Write, so that
// a killed harness leaves whole lines but for the last.
type Writer struct{ w io.Writer }

// NewWriter returns a Writer on w. It is not safe for concurrent use.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// Run writes a run record.
func (w *Writer) Run(r Run) error {
	r.Header = Header{Schema: Schema, Kind: KindRun}
	return w.write(r)
}

// Verdict writes a verdict record. It limits the length of every text that a container can
// have a hand in (see Clean); v itself stays as it is.
func (w *Writer) Verdict(v Verdict) error {
	v.Header = Header{Schema: Schema, Kind: KindVerdict}
	return w.write(v.cleaned())
}

func (w *Writer) write(r any) error {
	var line bytes.Buffer
	enc := json.NewEncoder(&line)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(r); err != nil {
		return fmt.Errorf("write record: %w", err)
	}
	if line.Len() > MaxLine {
		return fmt.Errorf("write record: %d bytes are more than a reader accepts (%d)", line.Len(), MaxLine)
	}
	if _, err := w.w.Write(line.Bytes()); err != nil {
		return fmt.Errorf("write record: %w", err)
	}
	return nil
}

// Set is what a stream of records holds, in its order.
type Set struct {
	Runs     []Run
	Verdicts []Verdict
	Benches  []Bench

	Interferences []Interference
	Cells         []Cell
}

// Read reads a stream of records. name stands for the stream in errors, which also give the
// line: "records.jsonl:12: ...". A kind or an outcome that this version does not know is an
// error, since a report that silently leaves records out is wrong; a field that it does not
// know is none, so that a later version may add some.
func Read(name string, r io.Reader) (Set, error) {
	var set Set
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 64<<10), MaxLine)
	n := 0
	for lines.Scan() {
		n++
		if strings.TrimSpace(lines.Text()) == "" {
			continue
		}
		if err := set.add(lines.Bytes(), fmt.Sprintf("%s:%d", name, n)); err != nil {
			return Set{}, fmt.Errorf("%s:%d: %w", name, n, err)
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return Set{}, fmt.Errorf("%s:%d: a line of more than %d MiB is no record", name, n+1, MaxLine>>20)
	}
	if err := lines.Err(); err != nil {
		return Set{}, fmt.Errorf("%s:%d: %w", name, n+1, err)
	}
	return set, nil
}

func (s *Set) add(line []byte, at string) error {
	var h Header
	switch err := json.Unmarshal(line, &h); {
	case err != nil && strings.HasPrefix(err.Error(), "unexpected end"): // encoding/json has no other sign of it
		return fmt.Errorf("parse record: %w: the line is cut short: remove it to see the rest", err)
	case err != nil:
		return fmt.Errorf("parse record: %w", err)
	}
	if h.Schema != Schema {
		return fmt.Errorf("schema %.40q is none that this version reads (%s)", h.Schema, Schema)
	}
	switch h.Kind {
	case KindRun:
		var r Run
		if err := json.Unmarshal(line, &r); err != nil {
			return fmt.Errorf("parse run: %w", err)
		}
		s.Runs = append(s.Runs, r)
	case KindVerdict:
		var v Verdict
		if err := json.Unmarshal(line, &v); err != nil {
			return fmt.Errorf("parse verdict: %w", err)
		}
		if err := v.check(); err != nil {
			return err
		}
		s.Verdicts = append(s.Verdicts, v)
	case KindBench:
		b := Bench{line: at}
		if err := json.Unmarshal(line, &b); err != nil {
			return fmt.Errorf("parse bench: %w", err)
		}
		if err := b.check(); err != nil {
			return err
		}
		s.Benches = append(s.Benches, b)
	case KindInterference:
		i := Interference{line: at}
		if err := json.Unmarshal(line, &i); err != nil {
			return fmt.Errorf("parse interference: %w", err)
		}
		if err := i.check(); err != nil {
			return err
		}
		s.Interferences = append(s.Interferences, i)
	case KindCell:
		var c Cell
		if err := json.Unmarshal(line, &c); err != nil {
			return fmt.Errorf("parse cell: %w", err)
		}
		if err := c.check(); err != nil {
			return err
		}
		s.Cells = append(s.Cells, c)
	default:
		return fmt.Errorf("kind %.40q is unknown", h.Kind)
	}
	return nil
}

func (v *Verdict) check() error {
	if v.Guarantee == "" {
		return errors.New("verdict without guarantee")
	}
	if !v.Outcome.Known() {
		return fmt.Errorf("verdict on %.40q: outcome %.40q is unknown", v.Guarantee, v.Outcome)
	}
	for name, t := range v.trials() {
		if !t.Outcome.Known() {
			return fmt.Errorf("%s of verdict on %.40q: outcome %.40q is unknown", name, v.Guarantee, t.Outcome)
		}
	}
	return nil
}

// trials ranges over the verdict's own trials and says what each is.
func (v *Verdict) trials() iter.Seq2[string, *Trial] {
	return func(yield func(string, *Trial) bool) {
		if v.Control != nil && !yield("control", v.Control) {
			return
		}
		for i := range v.Controls {
			if !yield("control", &v.Controls[i]) {
				return
			}
		}
		if v.Alone != nil {
			yield("alone run", v.Alone)
		}
	}
}
