package sentinel

import (
	"context"
	"fmt"
	"math/bits"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
	"cellwall/suites/attack"
	"cellwall/suites/sentinel/stub"
)

// PidfdUnsignalled is ProcessUnsignalled with a pidfd of the process passed in.
func PidfdUnsignalled(s *Stage) (*Watch, error) {
	p, err := s.Process()
	if err != nil {
		return nil, err
	}
	if err := s.passPidfd(p.PID()); err != nil {
		return nil, err
	}
	return &Watch{
		Target: attack.Target{PID: p.PID(), Path: passed},
		Look: func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
			if err := MustTry(r, "pidfd_open", "pidfd_send_signal SIGUSR2 by an inherited pidfd"); err != nil {
				return Finding{}, err
			}
			whole, single, err := p.pending()
			return p.signalled(whole, single).of(
				part{"a pidfd of its own", has(whole, unix.SIGUSR1)},
				part{"a pidfd that it was given", has(whole, unix.SIGUSR2)},
			), err
		},
	}, nil
}

// signalled finds a breach where the process got any signal.
func (p *Process) signalled(whole, single uint64) Finding {
	n := bits.OnesCount64(whole) + bits.OnesCount64(single)
	return Finding{Breached: n > 0, Evidence: fmt.Sprintf("the sentinel process %d counted %d signals", p.PID(), n)}
}

// ProcessUntraced is a host process with the nonce in its memory, which nobody may trace.
func ProcessUntraced(s *Stage) (*Watch, error) {
	if scope := yamaScope(); scope == "3" {
		return nil, kernel.Unsupported("kernel.yama.ptrace_scope is %s: nobody may trace, whatever the namespaces", scope)
	}
	p, err := s.Process()
	if err != nil {
		return nil, err
	}
	tracer := ""
	self := uintptr(os.Getpid())
	_, _, errno := unix.Syscall6(unix.SYS_KCMP, self, self, attack.KcmpVM, 0, 0, 0)
	kcmp := errno == 0 // CONFIG_KCMP
	return &Watch{
		Target: attack.Target{PID: p.PID(), Extra: fmt.Sprint(p.Address()), Bytes: int64(len(s.Nonce))},
		Hold: func(context.Context, string, *Subject) error {
			status, err := statusOf(p.PID())
			if err != nil {
				return err
			}
			tracer = StatusField(status, "TracerPid:")
			return nil
		},
		Look: func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
			if err := MustTry(r, "process_vm_readv", "kcmp", "ptrace PTRACE_SEIZE"); err != nil {
				return Finding{}, err
			}
			f := s.Returned(r)
			f.Evidence = fmt.Sprintf("the sentinel process %d is traced by %s; %s", p.PID(), tracer, f.Evidence)
			compared, _ := answer(r, fmt.Sprintf("kcmp %d", p.PID())) // nothing but the answer shows it
			f.Evidence += fmt.Sprintf("; kcmp answered %s", errnoText(compared))
			parts := []part{{"tracing", tracer != "0"}, {"reading", f.Breached}}
			if kcmp {
				parts = append(parts, part{"comparing", compared == 0})
			}
			return f.of(parts...), nil
		},
	}, nil
}

// ProcessUnseen is a host process with the nonce in its arguments and its environment.
func ProcessUnseen(s *Stage) (*Watch, error) {
	if _, err := s.ProcessWith(ProcessOptions{Env: []string{stub.Program + "=" + s.Nonce}}); err != nil {
		return nil, err
	}
	return &Watch{
		Target: attack.Target{Name: stub.Program},
		Look: func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
			return s.Returned(r), MustTry(r, "list /proc")
		},
	}, nil
}

// SenderUnknown sends the attacker a signal, and looks whether it learns our pid.
func SenderUnknown(*Stage) (*Watch, error) {
	return &Watch{
		Hold: func(_ context.Context, _ string, a *Subject) error {
			names, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/comm", a.PID))
			if err != nil {
				return err
			}
			for _, name := range names {
				comm, err := os.ReadFile(name)
				if err != nil || strings.TrimSpace(string(comm)) != attack.SenderThread {
					continue // a thread may have ended meanwhile
				}
				tid, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
				if err != nil {
					return err
				}
				return unix.Tgkill(a.PID, tid, unix.SIGUSR1)
			}
			return fmt.Errorf("the attacker has no thread %s", attack.SenderThread)
		},
		Look: func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
			got, ok := r.Facts["si_pid"]
			if !ok {
				return Finding{}, fmt.Errorf("the attacker got no signal")
			}
			switch got {
			case strconv.Itoa(os.Getpid()):
				return Finding{Breached: true, Evidence: "the attacker learnt our pid " + got}, nil
			case "0":
				return Finding{Evidence: "the attacker got the signal from pid 0"}, nil
			}
			return Finding{}, fmt.Errorf("the attacker got a signal from pid %.20q, which is neither 0 nor ours", got)
		},
	}, nil
}

// yamaScope is kernel.yama.ptrace_scope, which is "0" where there is no Yama: a user may trace its
// own processes.
func yamaScope() string {
	scope, err := os.ReadFile("/proc/sys/kernel/yama/ptrace_scope")
	if err != nil {
		return "0"
	}
	return strings.TrimSpace(string(scope))
}

// DescriptorKept is a host process of the kernel uid of a mapped root. It holds a descriptor of a
// file with the nonce, which that uid cannot open; a pidfd of the process is passed in.
func DescriptorKept(s *Stage) (*Watch, error) {
	if scope := yamaScope(); scope != "0" {
		return nil, kernel.Unsupported("kernel.yama.ptrace_scope is %s: Yama forbids the attack already without a user namespace", scope)
	}
	path := filepath.Join(s.Dir, "secret")
	if err := os.WriteFile(path, []byte(s.Nonce), 0o600); err != nil {
		return nil, fmt.Errorf("make secret: %w", err)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open secret: %w", err)
	}
	s.Undo.Push("close secret", file.Close)
	p, err := s.ProcessWith(ProcessOptions{UID: s.Root, Files: []*os.File{file}})
	if err != nil {
		return nil, err
	}
	if err := s.passPidfd(p.PID()); err != nil {
		return nil, err
	}
	const firstExtra = 3 // of exec.Cmd
	return &Watch{
		Target: attack.Target{Path: passed, FD: firstExtra},
		Look: func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
			return s.Returned(r), MustTry(r, "pidfd_getfd")
		},
	}, nil
}
