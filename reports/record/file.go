package record

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// MaxLine is the longest record that a reader accepts, in bytes.
const MaxLine = 4 << 20

// Writer appends records to a stream, one JSON object a line.
type Writer struct{ enc *json.Encoder }

// NewWriter returns a Writer on w.
func NewWriter(w io.Writer) *Writer {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return &Writer{enc: enc}
}

// Run writes a run record.
func (w *Writer) Run(r Run) error {
	r.Header = Header{Schema: Schema, Kind: KindRun}
	return w.write(r)
}

// Verdict writes a verdict record.
func (w *Writer) Verdict(v Verdict) error {
	v.Header = Header{Schema: Schema, Kind: KindVerdict}
	return w.write(v)
}

func (w *Writer) write(r any) error {
	if err := w.enc.Encode(r); err != nil {
		return fmt.Errorf("write record: %w", err)
	}
	return nil
}

// Set is what a stream of records holds, in its order.
type Set struct {
	Runs     []Run
	Verdicts []Verdict
}

// Read reads a stream of records. name stands for the stream in errors, which also give the
// line: "records.jsonl:12: ...". A kind that this version does not know is an error, since a
// report that silently leaves records out is wrong.
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
		if err := set.add(lines.Bytes()); err != nil {
			return Set{}, fmt.Errorf("%s:%d: %w", name, n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return Set{}, fmt.Errorf("%s:%d: %w", name, n+1, err)
	}
	return set, nil
}

func (s *Set) add(line []byte) error {
	var h Header
	if err := json.Unmarshal(line, &h); err != nil {
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
		if v.Guarantee == "" || v.Outcome == "" {
			return errors.New("verdict without guarantee or outcome")
		}
		s.Verdicts = append(s.Verdicts, v)
	default:
		return fmt.Errorf("kind %.40q is unknown", h.Kind)
	}
	return nil
}
