package sentinel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
	"cellwall/suites/attack"
)

// auditRule adds the trial's rule or takes it off. That it is there already, or was not there, is
// no error.
func (s *Stage) auditRule(message uint16) error {
	_, err := attack.Talk(unix.NETLINK_AUDIT, attack.NewNetlink(message, unix.NLM_F_ACK, attack.AuditRule(s.UID)))
	if errors.Is(err, unix.EEXIST) || errors.Is(err, unix.ENOENT) {
		return nil
	}
	return err
}

// auditRuled asks the kernel whether it has the trial's rule.
func (s *Stage) auditRuled() (bool, error) {
	// A list ends as a dump does, without being one.
	rules, err := attack.Talk(unix.NETLINK_AUDIT, attack.NewNetlink(attack.AuditListRules, unix.NLM_F_DUMP, nil))
	if err != nil {
		return false, fmt.Errorf("list audit rules: %w", err)
	}
	want := attack.AuditRule(s.UID)
	return slices.ContainsFunc(rules, func(rule []byte) bool { return bytes.HasPrefix(rule, want) }), nil
}

// AuditKept reads the attacker's login uid from outside after it has set it twice, since whoever has
// none may set it once, and asks the kernel for the rule that it has added: the target's UID.
func AuditKept(s *Stage) (*Watch, error) {
	if _, err := os.Lstat("/proc/self/loginuid"); errors.Is(err, fs.ErrNotExist) {
		return nil, kernel.Unsupported("/proc/self/loginuid: this kernel has no audit of system calls (CONFIG_AUDITSYSCALL)")
	}
	// Rules may be locked until the next boot.
	err := s.auditRule(attack.AuditAddRule)
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ECONNREFUSED) || errors.Is(err, unix.EPROTONOSUPPORT) {
		return nil, kernel.Unsupported("audit rules: the host's own root may not change any: %v", err)
	}
	if err == nil {
		err = s.auditRule(attack.AuditDelRule)
	}
	if err != nil {
		return nil, fmt.Errorf("change an audit rule: %w", err)
	}
	s.Undo.Push("take the audit rule off", func() error {
		return s.auditRule(attack.AuditDelRule)
	})
	const first, second = "11", "12" // as the attacker's user namespace names them
	var finding Finding
	return &Watch{
		Target: attack.Target{Paths: []string{first, second}, UID: s.UID},
		Hold: func(_ context.Context, _ string, a *Subject) error {
			b, err := os.ReadFile(fmt.Sprintf("/proc/%d/loginuid", a.PID))
			if err != nil {
				return fmt.Errorf("read login uid of the attacker: %w", err)
			}
			uid := strings.TrimSpace(string(b))
			ruled, err := s.auditRuled()
			// With a mapping the host's name of it is another, which ends in the same way: mappings
			// of a run begin at a multiple of 1<<16.
			n, _ := strconv.ParseUint(uid, 10, 32)
			f := Finding{Evidence: fmt.Sprintf("its login uid is %s; the kernel has its audit rule: %v", uid, ruled)}
			finding = f.of(part{"the login uid", strconv.FormatUint(n&0xffff, 10) == second}, part{"an audit rule", ruled})
			return err
		},
		Look: func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
			if err := MustTry(r, "set loginuid "+first, "set loginuid "+second, "add an audit rule"); err != nil {
				return Finding{}, err
			}
			return seen(finding)
		},
	}, nil
}
