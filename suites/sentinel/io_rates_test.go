package sentinel

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"cellwall/runtime/kernel"
)

// TestUncounted: a device whose use the kernel does not count says nothing of a limit.
func TestUncounted(t *testing.T) {
	file := filepath.Join(t.TempDir(), "iostats")
	for text, want := range map[string]error{"0\n": kernel.ErrNotSupported, "1\n": nil} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := uncounted(file); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", text, err, want)
		}
	}
	if err := uncounted(file + ".none"); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestExceeded(t *testing.T) {
	before := [2]ioUse{{readBytes: 4096, writtenBytes: 4096}, {reads: 1, writes: 1}}
	for _, c := range []struct {
		name      string
		after     [2]ioUse
		window    time.Duration
		breached  bool
		undecided bool
	}{
		{"within", [2]ioUse{{readBytes: 1 << 20, writtenBytes: 1 << 20}, {reads: 50, writes: 50}}, ioWindow, false, false},
		{"writes beyond", [2]ioUse{{readBytes: 1 << 20, writtenBytes: 1 << 20}, {reads: 50, writes: 500}}, ioWindow, true, false},
		{"nothing read", [2]ioUse{{readBytes: 4096, writtenBytes: 1 << 20}, {reads: 50, writes: 50}}, ioWindow, false, true},
		{"the end was not seen", [2]ioUse{}, 0, false, true},
	} {
		f, err := exceeded(before, c.after, c.window)
		if f.Breached != c.breached || (err != nil) != c.undecided {
			t.Errorf("%s: %t, %v, want %t, undecided %t", c.name, f.Breached, err, c.breached, c.undecided)
		}
	}
}
