package sentinel

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
	"cellwall/suites/attack"
)

// Limits of the baits and how far the attacks go.
const (
	filesLimit, filesBound     = 64, 128
	queuesLimit, queuesBound   = 64 << 10, 32 // bytes, queues
	signalsLimit, signalsBound = 32, 64
	ptysLimit, ptysBound       = 8, 16
	parkedLimit, parkedBound   = 64, 256
	parkedTogether             = 32 // the kernel asks before a message, and then takes all of it
)

// count is a watch over a number of the attacker's that the host counts at each hold.
func count(what string, limit int, of func(*Subject) (int, error), tries ...string) *Watch {
	w := &Watch{}
	most, holds := 0, 0
	var parts []part // in the control every hold is beyond the limit
	w.Hold = func(_ context.Context, name string, a *Subject) error {
		holds++
		n, err := of(a)
		most = max(most, n)
		parts = append(parts, part{name, n > limit})
		return err
	}
	w.Look = func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
		if holds == 0 {
			return Finding{}, fmt.Errorf("the attacker did not get to its limit of %s", what)
		}
		f := Finding{Evidence: fmt.Sprintf("with a limit of %d the host counts %d %s", limit, most, what)}
		return f.of(parts...), MustTry(r, tries...)
	}
	return w
}

// links counts the attacker's descriptors whose link has a text in it.
func (a *Subject) links(text string) (int, error) {
	dir := fmt.Sprintf("/proc/%d/fd", a.PID)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, fmt.Errorf("count descriptors: %w", err)
	}
	n := 0
	for _, e := range entries {
		link, err := os.Readlink(filepath.Join(dir, e.Name()))
		if err == nil && strings.Contains(link, text) {
			n++
		}
	}
	return n, nil
}

// rlimit sets a resource limit of the bait where the rung has limits.
func (s *Stage) rlimit(name string, n uint64) spec.Edits {
	return s.limited(func(sp *specs.Spec) { spec.WithRlimit(name, n).Apply(sp) })
}

// FilesBounded counts the attacker's descriptors.
func FilesBounded(s *Stage) (*Watch, error) {
	w := count("descriptors", filesLimit, func(a *Subject) (int, error) { return a.links("") }, "open", "dup")
	w.Edits = s.rlimit("RLIMIT_NOFILE", filesLimit)
	w.Target = attack.Target{Count: filesBound}
	return w, nil
}

// QueuesBounded counts the attacker's message queues, by the bytes that it asked for.
func QueuesBounded(s *Stage) (*Watch, error) {
	w := count("bytes in message queues", queuesLimit, func(a *Subject) (int, error) {
		n, err := a.links(s.Name)
		return n * attack.QueueBytes, err
	}, "mq_open")
	w.Edits, w.Fence = s.rlimit("RLIMIT_MSGQUEUE", queuesLimit), s.ownUser()
	w.Target = attack.Target{Count: queuesBound, Name: s.Name}
	return w, nil
}

// SignalsBounded reads how many signals the kernel keeps for the attacker's user, who is nobody
// else.
func SignalsBounded(s *Stage) (*Watch, error) {
	w := count("queued signals", signalsLimit, func(a *Subject) (int, error) {
		v, err := a.status("SigQ:")
		if err != nil {
			return 0, err
		}
		used, _, _ := strings.Cut(v, "/")
		return strconv.Atoi(used)
	}, "rt_tgsigqueueinfo", "timer_create")
	w.Edits, w.Fence = s.rlimit("RLIMIT_SIGPENDING", signalsLimit), s.ownUser()
	w.Target = attack.Target{Count: signalsBound}
	return w, nil
}

// TerminalsOf mounts a devpts with at most so many terminals; 0 leaves the option away.
func TerminalsOf(n int) spec.Edit {
	options := []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"}
	if n > 0 {
		options = append(options, fmt.Sprintf("max=%d", n))
	}
	m := specs.Mount{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: options}
	edit := spec.WithMount(m)
	edit.Name = fmt.Sprintf("a devpts with max=%d", n)
	if n == 0 {
		edit.Name = "a devpts without a maximum"
	}
	return edit
}

// TerminalsBounded counts the attacker's pseudo-terminals.
func TerminalsBounded(s *Stage) (*Watch, error) {
	w := count("pseudo-terminals", ptysLimit, func(a *Subject) (int, error) { return a.links("ptmx") }, "open /dev/ptmx")
	w.Target = attack.Target{Count: ptysBound}
	switch {
	case s.Rung == spec.Chroot:
		return nil, kernel.Unsupported("pseudo-terminals: a root directory without mounts has no /dev/ptmx")
	case s.Rung.Covers(spec.Namespaces):
		w.Edits = spec.Edits{TerminalsOf(ptysLimit)}
	}
	return w, nil
}

// ParkedBounded adds up the descriptors that lie unread in the attacker's sockets.
func ParkedBounded(s *Stage) (*Watch, error) {
	w := count("descriptors in flight", parkedLimit+parkedTogether, parked, "sendmsg SCM_RIGHTS")
	// As root: another user would lose the control's capability at execve.
	w.Edits = s.rlimit("RLIMIT_NOFILE", parkedLimit)
	w.Target = attack.Target{Count: parkedBound}
	return w, nil
}

// parked reads scm_fds of the attacker's sockets: unix_show_fdinfo of net/unix/af_unix.c.
func parked(a *Subject) (int, error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/fdinfo/*", a.PID))
	if err != nil {
		return 0, err
	}
	sum, told := 0, false
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			continue // it was closed
		}
		if v := StatusField(string(b), "scm_fds:"); v != "" {
			n, err := strconv.Atoi(v)
			if err != nil {
				return 0, fmt.Errorf("parse scm_fds: %w", err)
			}
			sum, told = sum+n, true
		}
	}
	if !told {
		return 0, kernel.Unsupported("scm_fds in /proc/PID/fdinfo of a socket")
	}
	return sum, nil
}

// hostLimit reads a number below /proc/sys.
func hostLimit(path string) (int, error) {
	b, err := os.ReadFile(filepath.Join("/proc/sys", path))
	if err != nil {
		return 0, fmt.Errorf("read a limit: %w", err)
	}
	return strconv.Atoi(strings.TrimSpace(string(b)))
}

// beside runs a neighbour and returns what it said.
func (s *Stage) beside(what attack.Attack, n int) (string, error) {
	neighbour, err := s.neighbour(what, attack.Target{UID: s.UID, Count: n}, nil)
	if err != nil {
		return "", err
	}
	return neighbour.hears()
}

// notUsedUp is a watch over what a neighbour, the host's user UID, still gets while the attacker
// has taken what it could. Without a user namespace the attacker is that user.
func (s *Stage) notUsedUp(what attack.Attack, wants int, refusal unix.Errno, tries ...string) *Watch {
	w := &Watch{Fence: s.ownUser()}
	var said string
	w.Hold = func(context.Context, string, *Subject) (err error) {
		said, err = s.beside(what, wants)
		return err
	}
	w.Look = func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
		f := Finding{
			Breached: said == unix.ErrnoName(refusal),
			Evidence: fmt.Sprintf("the host's user %d, who wants %d more, was answered %q", s.UID, wants, said),
		}
		if !f.Breached && said != "ok" {
			return f, fmt.Errorf("the host's user could not be asked: %s", said)
		}
		return f, MustTry(r, tries...)
	}
	return w
}

// InotifyNotUsedUp lets the attacker take most inotify instances that a user may have, and a
// neighbour some more than are left. Not all: what a user namespace takes is its creator's too
// (user_namespaces(7)), and the host's root needs some.
func InotifyNotUsedUp(s *Stage) (*Watch, error) {
	limit, err := hostLimit("fs/inotify/max_user_instances")
	if err != nil {
		return nil, err
	}
	const most = 4096
	if limit > most || limit < 16 {
		return nil, kernel.Unsupported("sysctl fs.inotify.max_user_instances is %d: want 16 to %d", limit, most)
	}
	takes := limit * 7 / 8
	w := s.notUsedUp(attack.InotifyBeside, limit/4, unix.EMFILE, "inotify_init1")
	// Where the spec is silent the launcher's limit holds, which is no smaller.
	w.Edits = spec.Edits{spec.Change("descriptors enough", func(sp *specs.Spec) {
		if len(sp.Process.Rlimits) > 0 {
			spec.WithRlimit("RLIMIT_NOFILE", uint64(limit)+64).Apply(sp)
		}
	})}
	w.Target = attack.Target{Count: takes}
	ask, look, got := w.Hold, w.Look, 0
	w.Hold = func(ctx context.Context, name string, a *Subject) (err error) {
		if got, err = a.links("inotify"); err != nil {
			return err
		}
		return ask(ctx, name, a)
	}
	w.Look = func(ctx context.Context, a *Subject, r attack.Record) (Finding, error) {
		// Refused early it has all that it can have: what its creator has counts too.
		refused := slices.ContainsFunc(r.Tries, func(t attack.Try) bool { return t.Errno == int(unix.EMFILE) })
		if got < takes/2 && !refused {
			return Finding{}, fmt.Errorf("the attacker did not get to %d instances, but to %d", takes, got)
		}
		return look(ctx, a, r)
	}
	return w, nil
}

// KeysNotUsedUp lets the attacker add keys until it may not, and a neighbour a few.
func KeysNotUsedUp(s *Stage) (*Watch, error) {
	limit, err := hostLimit("kernel/keys/maxkeys")
	if err != nil {
		return nil, err
	}
	const most, wants = 4096, 8
	if limit > most {
		return nil, kernel.Unsupported("sysctl kernel.keys.maxkeys is %d: too many to use up", limit)
	}
	w := s.notUsedUp(attack.KeyBeside, wants, unix.EDQUOT, "add_key")
	w.Target = attack.Target{Count: limit + wants}
	return w, nil
}
