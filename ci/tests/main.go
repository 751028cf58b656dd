// Command tests runs `go test -json` with the arguments that it gets, or reads such events from
// standard input where it gets none, and says what a person needs of them: a line for each package,
// all that failed tests wrote, every skipped test with its reason, and the counts. A package that
// began and did not end fails. With -skips FILE a skip that the file does not list fails, and one
// that it lists and that did not happen is named.
//
//	go run ./ci/tests -skips ci/skips.txt -- -p 1 -count=1 ./...
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
)

func main() {
	skips := flag.String("skips", "", "file of the skips that are expected: package, test and reason on a line each")
	flag.Parse()
	err := tests(flag.Args(), func(events io.Reader) error { return run(events, os.Stdout, *skips) })
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// tests gives the events of `go test -json` to read, or those on standard input where there are no
// arguments. A pipe of the shell would forget how the tests ended.
func tests(args []string, read func(io.Reader) error) error {
	if len(args) == 0 {
		return read(os.Stdin)
	}
	cmd := exec.Command("go", append([]string{"test", "-json"}, args...)...)
	cmd.Stderr = os.Stderr
	events, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	err = read(events)
	if ended := cmd.Wait(); ended != nil {
		err = errors.Join(err, fmt.Errorf("go test: %w", ended))
	}
	return err
}

// event is one line of test2json.
type event struct {
	Action, Package, ImportPath, Test, Output string
	Elapsed                                   float64 // seconds
}

type result struct {
	passed, failed int
	skipped        []string // "package test: reason"
	broken         bool     // a package failed
	began          []string // packages that have not ended
	output         map[string][]string
}

func run(in io.Reader, out io.Writer, skips string) error {
	r := &result{output: map[string][]string{}}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			fmt.Fprintln(out, lines.Text()) // of the go command itself
			continue
		}
		r.note(out, e)
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read events: %w", err)
	}
	slices.Sort(r.skipped)
	for _, s := range r.skipped {
		fmt.Fprintln(out, "skipped:", s)
	}
	fmt.Fprintf(out, "%d passed, %d failed, %d skipped\n", r.passed, r.failed, len(r.skipped))
	var errs []error
	if r.failed > 0 || r.broken {
		errs = append(errs, errors.New("tests failed"))
	}
	for _, p := range r.began {
		errs = append(errs, fmt.Errorf("%s began and did not end", p))
	}
	if r.passed == 0 {
		errs = append(errs, errors.New("no test passed: nothing was tested"))
	}
	if skips != "" {
		errs = append(errs, r.compare(out, skips))
	}
	return errors.Join(errs...)
}

func (r *result) note(out io.Writer, e event) {
	name := strings.TrimSpace(e.Package + " " + e.Test)
	switch e.Action {
	case "start":
		r.began = append(r.began, e.Package)
	case "output":
		r.output[name] = append(r.output[name], e.Output)
	case "build-output":
		fmt.Fprint(out, e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			r.began = slices.DeleteFunc(r.began, func(p string) bool { return p == e.Package })
			fmt.Fprintf(out, "%-4s  %5.1f s  %s\n", e.Action, e.Elapsed, e.Package)
			if e.Action == "fail" {
				r.broken = true
				for _, unended := range slices.Sorted(maps.Keys(r.output)) { // as of a test that time ran out for
					if unended == name || strings.HasPrefix(unended, name+" ") {
						fmt.Fprint(out, strings.Join(r.output[unended], ""))
					}
				}
			}
			break
		}
		switch e.Action {
		case "pass":
			r.passed++
		case "fail":
			r.failed++
			fmt.Fprint(out, strings.Join(r.output[name], ""))
		case "skip":
			r.skipped = append(r.skipped, name+": "+reason(r.output[name]))
		}
		delete(r.output, name)
	}
}

// reason is what the test said when it skipped: the last line with a file and its number.
func reason(output []string) string {
	for _, line := range slices.Backward(output) {
		if _, text, ok := strings.Cut(line, ".go:"); ok {
			_, text, _ = strings.Cut(text, ": ")
			return strings.TrimSpace(text)
		}
	}
	return "no reason given"
}

// compare holds the skips against a list of "package test reason". Another host may do what the
// list's cannot, which is no failure.
func (r *result) compare(out io.Writer, path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read the expected skips: %w", err)
	}
	var want []string
	var errs []error
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(line, "#") {
			continue
		}
		if len(fields) < 3 {
			return fmt.Errorf("%s: %q: want package, test and reason", path, strings.TrimSpace(line))
		}
		want = append(want, fields[0]+" "+fields[1])
	}
	var got []string
	for _, s := range r.skipped {
		name, _, _ := strings.Cut(s, ": ")
		got = append(got, name)
		if !slices.Contains(want, name) {
			errs = append(errs, fmt.Errorf("unexpected skip: %s", s))
		}
	}
	for _, name := range want {
		if !slices.Contains(got, name) {
			fmt.Fprintf(out, "did not skip here, and %s expects it: %s\n", path, name)
		}
	}
	return errors.Join(errs...)
}
