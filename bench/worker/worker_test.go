package worker_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"cellwall/bench"
	"cellwall/bench/worker"
	"cellwall/runtime/kernel"
)

// hello is what a script says to the first request.
const hello = `read -r x; echo '{"hello":{"protocol":1,"version":"v1","runtime":"core"}}'; `

// scripted starts a shell script as a worker named "old".
func scripted(t *testing.T, script string) (*worker.Worker, error) {
	t.Helper()
	w, err := worker.Start(t.Context(), "old", "/bin/sh", "-c", script)
	if err == nil {
		t.Cleanup(func() { _ = w.Close() })
	}
	return w, err
}

// said fails unless an error is one line that names the worker and says what is wanted.
func said(t *testing.T, err error, want ...string) {
	t.Helper()
	for _, w := range append(want, "worker old") {
		if err == nil || !strings.Contains(err.Error(), w) || strings.Contains(err.Error(), "\n") {
			t.Errorf("got %v, want one line with %q", err, w)
		}
	}
}

func TestWorkersThatDoNotBegin(t *testing.T) {
	for _, c := range []struct{ name, script, want string }{
		{"dead", `read -r x; echo boom >&2; exit 3`, `exit status 3: it wrote "boom"`},
		{"dead with success", `read -r x; exit 0`, "it has ended, with status 0"},
		{"killed", `read -r x; kill -9 $$`, "signal: killed: cellwall clean removes what it left"},
		{"babble", `read -r x; echo hello there`, `it says "hello there", which is no reply: /bin/sh has to be a build of cellwall`},
		{"another object", `read -r x; echo '{"answer":42}'`, `it says "{\"answer\":42}", which is no reply`},
		{"no name", `read -r x; echo '{}'`, "it does not say who it is"},
		{"older", `read -r x; echo '{"hello":{"protocol":9}}'`, "it speaks version 9 of the protocol and not 1"},
		{"unsupported", `read -r x; echo '{"error":"not supported: no cgroups","unsupported":true}'`, "not supported: no cgroups"},
		{"reason", `read -r x; echo '{"error":"needs root"}'`, "needs root"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := scripted(t, c.script)
			said(t, err, c.want)
		})
	}
	_, err := worker.Start(t.Context(), "old", "/nonexistent/cellwall")
	said(t, err, "/nonexistent/cellwall")
}

func TestWorkersThatFailLater(t *testing.T) {
	for _, c := range []struct {
		name, script, want string
		gone               bool
	}{
		{"dead", `read -r x; echo gone >&2; exit 4`, `exit status 4: it wrote "gone"`, true},
		{"babble", `read -r x; echo '{"samples":'`, "which is no reply", true},
		{"too few", `read -r x; echo '{"samples":[{"value":1,"cpu":0}]}'`, "it took 1 samples and not 2", false},
		{"error", `read -r x; echo '{"error":"it broke"}'`, "it broke", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, err := scripted(t, hello+c.script)
			if err != nil {
				t.Fatal(err)
			}
			_, err = w.Sample(t.Context(), 2)
			said(t, err, c.want)
			if errors.Is(err, worker.ErrGone) != c.gone {
				t.Errorf("%v: that it is gone should be %v", err, c.gone)
			}
		})
	}
}

func TestUnsupportedIsTold(t *testing.T) {
	w, err := scripted(t, hello+`read -r x; echo '{"error":"not supported: no such thing","unsupported":true}'`)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Open(t.Context(), "start.exec"); !errors.Is(err, kernel.ErrNotSupported) || err.Error() != "not supported: no such thing" {
		t.Errorf("got %v", err)
	}
}

func TestRequestsAreLines(t *testing.T) {
	w, err := scripted(t, hello+`
		read -r x; test "$x" = '{"op":"open","benchmark":"start.exec"}' || exit 5; echo '{}'
		read -r x; test "$x" = '{"op":"plant","planted":{"share":0.5,"median":2}}' || exit 6; echo '{}'
		read -r x; test "$x" = '{"op":"sample","n":2}' || exit 7; echo '{"samples":[{"value":1,"cpu":2},{"value":3,"cpu":4}]}'
		read -r x; test "$x" = '{"op":"close"}' || exit 8; echo '{}'
		read -r x && exit 9; exit 0`)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	if err := w.Open(ctx, "start.exec"); err != nil {
		t.Fatal(err)
	}
	if err := w.Plant(ctx, bench.Planted{Share: 0.5, Median: 2}); err != nil {
		t.Fatal(err)
	}
	values, err := w.Sample(ctx, 2)
	if err != nil || values[1] != (bench.Value{Value: 3, CPU: 4}) {
		t.Fatal(values, err)
	}
	if err := w.CloseBenchmark(ctx); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if says := w.Says(); says.Version != "v1" || says.Runtime != "core" {
		t.Errorf("it said %+v", says)
	}
}

// TestHungWorker: one that does not answer in time is killed, and one that is interrupted is asked to end.
func TestHungWorker(t *testing.T) {
	w, err := scripted(t, hello+`exec sleep 600`)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	_, err = w.Sample(ctx, 1)
	said(t, err, "gave no answer in time and was killed: cellwall clean")

	w, err = scripted(t, hello+`read -r x; read -r x; exit 0`) // it ends with its input, without an answer
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	if _, err := w.Sample(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that it was interrupted", err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}
