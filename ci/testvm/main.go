// Command testvm runs the tests of packages as root in one guest, and prints their events as
// `go test -json` does:
//
//	go run ./ci/testvm -kernel debian-12 ./probes ./runtime/core | go run ./ci/tests
//
// Where there is no guest, or it ends too early, that is an event too: the guest has failed.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"cellwall/ci/kernels"
	"cellwall/ci/vm"
)

func main() {
	file := flag.String("file", "ci/matrix.yaml", "the matrix file")
	name := flag.String("kernel", "debian-12", "a kernel of the matrix file")
	cgroup := flag.String("cgroup", "v2", "what the guest mounts: v2, hybrid or v1")
	cpus := flag.Int("cpus", 2, "how many the guest has")
	flags := flag.String("flags", "", "more flags of the tests: '-test.run Start -test.bench Start'")
	instructions := flag.Bool("instructions", false, "the guest's clock counts instructions, so that no load of this host disturbs what is measured; with -cpus 1")
	console := flag.Bool("console", false, "show what the kernel prints")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	defer stop()
	j := job{cgroup: *cgroup, cpus: *cpus, packages: flag.Args(), flags: *flags, instructions: *instructions, boot: vm.Run, out: os.Stdout, log: os.Stderr}
	if *console {
		j.console = os.Stderr
	}
	k, err := kernel(ctx, *file, *name, os.Stderr)
	if err == nil {
		j.kernel = k
		err = j.run(ctx)
	}
	if err != nil {
		report(os.Stdout, *name, err)
		stop()
		os.Exit(1)
	}
}

// kernel finds a kernel of the matrix file, and fetches it if it is not there.
func kernel(ctx context.Context, file, name string, log io.Writer) (kernels.Kernel, error) {
	entries, err := kernels.Read(file)
	if err != nil {
		return kernels.Kernel{}, err
	}
	i := slices.IndexFunc(entries, func(e kernels.Entry) bool { return e.Name == name })
	if i < 0 {
		return kernels.Kernel{}, fmt.Errorf("%s has no kernel %q: cellwall kernels list shows those that it has", file, name)
	}
	dir, err := kernels.DefaultDir()
	if err != nil {
		return kernels.Kernel{}, err
	}
	phase := ""
	return (&kernels.Cache{Dir: dir}).Fetch(ctx, entries[i], func(s kernels.Step) {
		if s.Phase != phase {
			phase = s.Phase
			fmt.Fprintf(log, "%s: %s\n", name, phase)
		}
	})
}

// report makes an error events, which ci/tests counts as a failed package.
func report(out io.Writer, kernel string, err error) {
	events := json.NewEncoder(out)
	for _, e := range []map[string]any{
		{"Time": time.Now(), "Action": "output", "Package": "guest " + kernel, "Output": err.Error() + "\n"},
		{"Time": time.Now(), "Action": "fail", "Package": "guest " + kernel},
	} {
		_ = events.Encode(e) // whoever does not read them has failed himself
	}
}
