package probes

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"

	"cellwall/probes/code"
	"cellwall/runtime/cgroup"
	"cellwall/runtime/kernel"
)

// EPERM has several causes, and the kernel does not say which one it is.
func TestWhyItIsNotPermitted(t *testing.T) {
	err := unsupported(fmt.Errorf("map create: %w (MEMLOCK may be too low)", unix.EPERM))
	for _, cause := range []string{"lockdown", "CAP_BPF", "CAP_PERFMON", "ulimit -l"} {
		if !errors.Is(err, kernel.ErrNotSupported) || !errors.Is(err, unix.EPERM) || !strings.Contains(err.Error(), cause) {
			t.Errorf("%v does not tell of %s", err, cause)
		}
	}
}

// noTypes are those of a kernel that has nothing.
type noTypes struct{}

func (noTypes) TypeByName(string, any) error { return btf.ErrNotFound }

// What the kernel lacks is said before a program is written, and not looked for in its modules.
func TestAttachToWhatIsNotThere(t *testing.T) {
	for rung, says := range map[Rung]string{FEntry: "no function gone", TPBTF: "no tracepoint gone", RawTracepoint: "no tracepoint gone"} {
		s := &session{types: btf.NewCache(), layout: code.NewLayout(noTypes{}), rung: rung}
		kind := ebpf.AttachTraceRawTp
		if rung == FEntry {
			kind = ebpf.AttachTraceFExit
		}
		err := s.attachAs(kind, "gone", func(*program) { t.Errorf("%s: a program was written", rung) })
		if !errors.Is(err, kernel.ErrNotSupported) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", rung, err)
		}
	}
}

// Every rung of every probe either attaches, or says why it cannot and leaves nothing.
func TestEveryRung(t *testing.T) {
	needRoot(t)
	g := newGroup(t, "rungs", cgroup.Limits{Controllers: []string{"cpu", "memory", "pids"}})
	for _, name := range Names() {
		for _, rung := range Rungs() {
			t.Run(name+"/"+string(rung), func(t *testing.T) {
				o := Options{Rungs: []Rung{rung}, Root: os.Getpid()}
				if _, controller, _ := Describe(name); controller != "" {
					o.Cgroups = []string{g.Path(controller)}
				}
				before := descriptors(t)
				p, err := Open(name, o)
				if err != nil {
					if !errors.Is(err, kernel.ErrNotSupported) {
						t.Error(err)
					}
					// A kernel may lack a helper; anything else that it finds wrong in a program is ours.
					var refused *ebpf.VerifierError
					if errors.As(err, &refused) && !strings.Contains(err.Error(), "unknown func") && !strings.Contains(err.Error(), "func unknown") && !strings.Contains(err.Error(), "cannot use helper") && !errors.Is(err, unix.EPERM) {
						t.Errorf("%+v", refused)
					}
					t.Log(err)
				} else {
					if p.Rung() != rung || len(p.Attempts()) > 0 {
						t.Errorf("attached by %s after %v", p.Rung(), p.Attempts())
					}
					if err := p.Close(); err != nil {
						t.Error(err)
					}
				}
				if after := descriptors(t); after != before {
					t.Errorf("%d descriptors before, %d after", before, after)
				}
			})
		}
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}
