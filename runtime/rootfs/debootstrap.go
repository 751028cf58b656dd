package rootfs

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"time"
	"unicode"
)

// Debootstrap makes a root directory below dir with `debootstrap --variant=minbase`, which
// downloads a Debian or Ubuntu suite ("bookworm", "jammy") and needs root. An empty mirror is
// debootstrap's own default. What debootstrap prints goes to progress, which may be nil.
//
// Its mounts are made in a mount namespace of its own, so a run that is cancelled leaves none.
// Where it is not installed, the error wraps exec.ErrNotFound and says how to get it.
func Debootstrap(ctx context.Context, dir, suite, mirror string, progress io.Writer) (_ *Root, err error) {
	// Neither may be taken for an option, nor the suite for the path of a script.
	if !regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]*$`).MatchString(suite) {
		return nil, fmt.Errorf("suite %q: want a name such as bookworm", suite)
	}
	if mirror != "" && !regexp.MustCompile(`^[a-z]+:/`).MatchString(mirror) {
		return nil, fmt.Errorf("mirror %q: want a URL such as http://HOST/debian or file:/DIR", mirror)
	}
	program, err := exec.LookPath("debootstrap")
	if err != nil {
		return nil, fmt.Errorf("debootstrap is not installed, apt-get install debootstrap%w", silent{err})
	}
	r, _, err := newRoot(dir)
	if err != nil {
		return nil, err
	}
	defer r.undo.OnError(&err)
	args := []string{"--variant=minbase", suite, r.path}
	if mirror != "" {
		args = append(args, mirror)
	}
	cmd := exec.CommandContext(ctx, program, args...)
	last := &lastLine{}
	if progress == nil {
		progress = io.Discard
	}
	out := io.MultiWriter(progress, last)
	cmd.Stdout, cmd.Stderr = out, out
	// It is a shell script with children: all of them must go.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if os.Geteuid() == 0 {
		cmd.SysProcAttr.Unshareflags = syscall.CLONE_NEWNS
	}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, fmt.Errorf("debootstrap %s: %w%s", suite, err, last)
	}
	return r, nil
}

// lastLine keeps the start of the last line that is not empty.
type lastLine struct {
	line, last []byte
}

func (l *lastLine) Write(p []byte) (int, error) {
	const most = 300
	for _, c := range p {
		switch {
		case c == '\n':
			if len(l.line) > 0 {
				l.line, l.last = l.last[:0], l.line
			}
		case len(l.line) < most:
			l.line = append(l.line, c)
		}
	}
	return len(p), nil
}

// String is ": line", fit for a terminal, or nothing.
func (l *lastLine) String() string {
	line := l.last
	if len(l.line) > 0 {
		line = l.line
	}
	text := strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, string(line)))
	if text == "" {
		return ""
	}
	return ": " + text
}
