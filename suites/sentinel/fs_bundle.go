package sentinel

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/spec"
	"cellwall/suites/attack"
)

// Edits in which the witness stands in for a careless runtime, in the trial's directory.
const (
	OpenBundle = "a bundle with mode 0755"
	ShowsRoot  = "a runtime that mounts the root directory where all may go"
	OpenState  = "a runtime whose state all may read"
)

// PlantedUnreached keeps the root directory in a bundle of mode 0700, which is the runtime's to leave as
// it is, and a user of the host tries to run what the attacker has planted in it, the target's Path:
// there, and wherever else on the host the runtime shows it. That user also reads what it can of the state.
func PlantedUnreached(s *Stage) (*Watch, error) {
	if err := gainable(); err != nil {
		return nil, err
	}
	h, err := s.hostMounts()
	if err != nil {
		return nil, err
	}
	v, err := s.sharedDirectory()
	if err != nil {
		return nil, err
	}
	bundle := filepath.Join(s.Dir, "bundle")
	mode := os.FileMode(0o700)
	if s.Has(OpenBundle) {
		mode = 0o755
	}
	if err := publicDir(bundle); err != nil {
		return nil, err
	}
	if err := chmod(bundle, mode); err != nil {
		return nil, err
	}
	if s.Rung.Covers(spec.Hardened) {
		// The runtime passes as the mapped root.
		if err := os.Chown(bundle, int(s.Root), int(s.Root)); err != nil {
			return nil, fmt.Errorf("make bait: %w", err)
		}
	}
	root := filepath.Join(bundle, "rootfs")
	if err := publicDir(root); err != nil {
		return nil, err
	}
	err = h.do(func() error {
		if err := unix.Mount(s.Rootfs, root, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("bind bait: %w", err)
		}
		// What is planted lies in memory, and nowhere on the host.
		return tmpfs(root + v.path)
	})
	if err != nil {
		return nil, err
	}
	planted := filepath.Join(root, v.path, attack.Program)
	var finding *Finding
	plantedHere := func(ctx context.Context) error {
		info, err := os.Stat(planted)
		if err != nil || info.Mode()&os.ModeSetuid == 0 {
			return errors.Join(errors.New("the attacker planted no set-user-ID program"), err)
		}
		if s.Has(ShowsRoot) {
			if err := s.showRoot(root); err != nil {
				return err
			}
		}
		paths, err := h.pathsTo(planted, info)
		for _, path := range paths {
			if finding, err = s.walkIn(ctx, path); err != nil || finding.Breached {
				return err
			}
		}
		if err != nil {
			return err
		}
		open, looked, err := s.readableState()
		if looked == 0 {
			finding.Evidence += "; no state of the container was found"
			return errors.Join(err, s.stateless())
		}
		finding.Evidence += fmt.Sprintf("; of %d files of state the user can read %d", looked, len(open))
		if len(open) > 0 {
			finding.Breached = true
			finding.Evidence += ": " + strings.Join(open[:1], "")
		}
		return err
	}
	return &Watch{
		From: h.path(),
		Edits: spec.Edits{spec.Change("a root directory in a bundle", func(sp *specs.Spec) {
			if sp.Root.Path != "/" {
				sp.Root.Path = root
			} else {
				sp.Process.Args[0] = filepath.Join(root, filepath.Base(sp.Process.Args[0]))
			}
		})},
		Target: attack.Target{Path: v.path + "/" + attack.Program},
		Hold: func(ctx context.Context, _ string, _ *Subject) error {
			return h.do(func() error { return plantedHere(ctx) })
		},
		Look: after(func(context.Context, *Subject, attack.Record) (Finding, error) {
			if finding == nil {
				return Finding{}, errors.New("the attacker did not get to plant its program")
			}
			return *finding, nil
		}, "chmod u+s "),
	}, nil
}

// walkIn runs a program as an unprivileged user of the host, which looks it up from the stage's
// directory, if the program is below that: what lies above is not the bundle's. It is called on a
// thread in the stand-in for the host's mounts.
func (s *Stage) walkIn(ctx context.Context, path string) (_ *Finding, err error) {
	dir, err := os.Open(s.Dir)
	if err != nil {
		return nil, fmt.Errorf("start the host's user: %w", err)
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	const inherited = "/proc/self/fd/3"
	if below, ok := strings.CutPrefix(path, s.Dir+"/"); ok {
		path = inherited + "/" + below
	}
	cmd := exec.CommandContext(ctx, path, "fs/helper", "{}")
	cmd.ExtraFiles = []*os.File{dir}
	cmd.Args[0], cmd.Env, cmd.Dir = attack.Program, []string{}, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: s.UID, Gid: s.UID}}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start the host's user: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start the host's user: %w", err), in.Close())
	}
	if err := cmd.Start(); errors.Is(err, unix.EACCES) {
		return &Finding{Evidence: "the host's user cannot run what was planted: " + err.Error()}, nil
	} else if err != nil {
		return nil, fmt.Errorf("start the host's user: %w", err)
	}
	_, err = bufio.NewReader(out).ReadString('\n')
	status, readErr := statusOf(cmd.Process.Pid)
	if err := errors.Join(err, readErr, in.Close(), cmd.Wait()); err != nil {
		return nil, fmt.Errorf("look at the host's user: %w", err)
	}
	uids := strings.Fields(StatusField(status, "Uid:"))
	return &Finding{
		Breached: len(uids) > 1 && uids[1] == "0",
		Evidence: "what was planted runs for the host's user with uids " + strings.Join(uids, " "),
	}, nil
}
