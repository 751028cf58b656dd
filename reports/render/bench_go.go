package render

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"cellwall/reports/record"
)

// goUnits are what the Go benchmark format calls our units.
var goUnits = map[record.Unit]string{
	record.Seconds: "sec/op", record.Bytes: "B", record.PerSecond: "op/s", record.Ratio: "ratio",
}

// BenchGo writes the Go benchmark format, a line for each sample, which benchstat reads: compare subjects
// with `benchstat -col subject FILE`, two runs with `benchstat OLD NEW`.
// Source: https://go.dev/design/14313-benchmark-format and golang.org/x/perf/benchfmt.
func BenchGo(w io.Writer, r Bench) error {
	if len(r.Rows) == 0 {
		return errNoBench
	}
	var b bytes.Buffer
	b.WriteString("Unit cpu-sec/op better=lower\nUnit op/s better=higher\n")
	for _, kv := range [][2]string{{"goos", runtime.GOOS}, {"machine", r.Run.Machine}, {"kernel", r.Run.Kernel}} {
		goConfig(&b, kv[0], kv[1])
	}
	for _, row := range r.Rows {
		for _, l := range row.Lines {
			if len(l.Samples) == 0 {
				continue
			}
			goConfig(&b, "subject", l.Subject)
			goConfig(&b, "runtime", strings.TrimSpace(l.Runtime+" "+l.RuntimeVersion))
			goConfig(&b, "rung", l.Rung)
			for _, s := range l.Samples {
				fmt.Fprintf(&b, "Benchmark%s 1 %s %s", goName(row.Benchmark), number(s.Value), goUnits[l.Unit])
				if s.CPU > 0 {
					fmt.Fprintf(&b, " %s cpu-sec/op", number(s.CPU))
				}
				b.WriteString("\n")
			}
		}
	}
	return flush(w, &b)
}

// goConfig writes a line that says something of those that follow.
func goConfig(b *bytes.Buffer, key, value string) {
	b.WriteString(key + ": " + EscapeTerminal(value) + "\n")
}

// goName makes a name for "start.exec" that begins in upper case, as it must: "Start/exec". A dash before a
// number at its end would be taken for a number of CPUs.
func goName(name string) string {
	group, rest, _ := strings.Cut(EscapeTerminal(name), ".")
	first, size := utf8.DecodeRuneInString(group)
	full := string(unicode.ToUpper(first)) + group[size:] + "/" + rest
	full = strings.ReplaceAll(full, " ", "_")
	if at := strings.LastIndexByte(full, '-'); at >= 0 {
		if _, err := strconv.Atoi(full[at+1:]); err == nil {
			full = full[:at] + "_" + full[at+1:]
		}
	}
	return full
}

func number(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }
