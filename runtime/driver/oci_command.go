package driver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"cellwall/runtime/cgroup"
	"cellwall/runtime/kernel"
)

// launch is a command of the runtime's.
func (c *ociContainer) launch(args ...string) launch {
	argv := []string{c.path, "--root", c.at(stateDir), "--log", c.at(logFile), "--log-format", "json"}
	argv = slices.Concat(argv, c.options(c.bundle.Spec), args)
	return launch{argv: argv, from: c.bundle.From, hide: c.hidden(c.bundle.Parent), group: c.manager}
}

// hidden are the mounts that the runtime must not see. A nil one may see all.
func (o *oci) hidden(g *cgroup.Group) []string {
	if o == nil || !o.noHybrid || g == nil {
		return nil
	}
	hierarchies := g.Hierarchies()
	last := hierarchies[len(hierarchies)-1]
	if !last.V2 || len(hierarchies) == 1 {
		return nil
	}
	return []string{strings.TrimSuffix(last.Path, last.Below)}
}

// unshown says that a container cannot be shown what its runtime must not see.
func (o *oci) unshown(b Bundle) error {
	for _, hidden := range o.hidden(b.Parent) {
		for _, m := range b.Spec.Mounts {
			if m.Source == hidden || strings.HasPrefix(m.Source, hidden+"/") {
				return kernel.Unsupported("%s cannot show %s: it must not see %s", o.name, m.Source, hidden)
			}
		}
	}
	return nil
}

// call runs a command. Its error is what the runtime has logged.
func (c *ociContainer) call(ctx context.Context, l launch) error {
	if err := os.Remove(c.at(logFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove the runtime's log: %w", err)
	}
	err := l.run(ctx)
	if err == nil {
		return nil
	}
	verb := l.argv[len(c.launch().argv)]
	if said := errorsIn(c.at(logFile)); said != "" {
		return fmt.Errorf("%s %s: %s (%w)", c.name, verb, said, err)
	}
	return fmt.Errorf("%s %s: %w", c.name, verb, err)
}

func (c *ociContainer) command(ctx context.Context, args ...string) error {
	return c.call(ctx, c.launch(args...))
}

// commandTimeout bounds commands that go on when the caller's context has ended: a hundred times what
// they take.
const commandTimeout = 20 * time.Second

func (c *ociContainer) bounded(args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	return c.command(ctx, args...)
}

// maxLog is how much of the end of a log is read, in bytes: a container that keeps a runtime
// complaining makes it as long as it likes.
const maxLog = 64 << 10

// errorsIn are the errors of a log in JSON, or nothing. The first is the cause of those that runsc logs, which
// ends no line: its sandbox and its file server log there too.
func errorsIn(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()                                                                        //nolint:errcheck // read-only
	if _, err := f.Seek(-maxLog, io.SeekEnd); err != nil && !errors.Is(err, unix.EINVAL) { // EINVAL: it is shorter
		return ""
	}
	raw, err := io.ReadAll(io.LimitReader(f, maxLog))
	if err != nil {
		return ""
	}
	var said []string
	for line := range strings.Lines(string(raw)) {
		for d := json.NewDecoder(strings.NewReader(line)); ; {
			var entry struct{ Level, Msg string }
			if d.Decode(&entry) != nil {
				break
			}
			if entry.Level == "error" {
				said = append(said, entry.Msg)
			}
		}
	}
	all := strings.Join(said, "; ")
	return all[:min(len(all), maxSaid)]
}
