package rootfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// programs adds programs of the host to a mirror: ELF files and scripts.
type programs struct {
	*mirror
	path      string // $PATH
	libraries *loader
}

// add brings the program name, which is looked up in $PATH unless it holds a slash. It returns
// its path. By says who needs it; depth counts interpreters of interpreters.
func (p *programs) add(name, by string, depth int) (string, error) {
	// The kernel stops after five, search_binary_handler in fs/exec.c.
	const maxInterpreters = 5
	if depth > maxInterpreters {
		return "", fmt.Errorf("interpreter %q: %w", name, unix.ELOOP)
	}
	found, err := p.find(name)
	if err != nil {
		return "", err
	}
	f, err := p.open(found)
	if err != nil {
		return "", err
	}
	defer f.Close() //nolint:errcheck // nothing was written
	head := make([]byte, shebangMax)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return "", err
	}
	real, err := p.bring(found, by)
	if err != nil {
		return "", err
	}
	if bytes.HasPrefix(head[:n], []byte("\x7fELF")) {
		return found, p.libraries.add(real, f)
	}
	bang, ok := parseShebang(head[:n])
	if !ok {
		return "", fmt.Errorf("%q is neither an ELF program nor a script, which starts with #! and an interpreter", found)
	}
	if _, err := p.add(bang.interpreter, found, depth+1); err != nil {
		return "", fmt.Errorf("interpreter of %q: %w", found, err)
	}
	if program := bang.envProgram(); program != "" {
		if _, err := p.add(program, found, depth+1); err != nil {
			return "", fmt.Errorf("interpreter of %q: %q: %w", found, program, err)
		}
	}
	return found, nil
}

// find is exec.LookPath on the mirror's host, without the current directory.
func (p *programs) find(name string) (string, error) {
	if strings.Contains(name, "/") {
		abs, err := filepath.Abs(name)
		if err != nil {
			return "", err
		}
		return abs, p.executable(abs)
	}
	var refused error
	for _, dir := range filepath.SplitList(p.path) {
		if name == "" || !path.IsAbs(dir) {
			continue
		}
		found := path.Join(dir, name)
		err := p.executable(found)
		if err == nil {
			return found, nil
		}
		if !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ENOTDIR) && refused == nil {
			refused = err
		}
	}
	if refused != nil {
		return "", refused
	}
	return "", fmt.Errorf("not found in $PATH%w", silent{unix.ENOENT})
}

func (p *programs) executable(name string) error {
	f, err := p.open(name)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // nothing was written
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
		return fmt.Errorf("%q is not an executable file", name)
	}
	return nil
}

// shebangMax is BINPRM_BUF_SIZE, what the kernel reads of a script, execve(2).
const shebangMax = 256

type shebang struct{ interpreter, argument string }

// parseShebang reads the first line of a script as the kernel does: one interpreter and at most
// one argument, which is the rest of the line.
func parseShebang(head []byte) (shebang, bool) {
	line, ok := bytes.CutPrefix(head, []byte("#!"))
	if !ok {
		return shebang{}, false
	}
	line, _, whole := bytes.Cut(line, []byte("\n"))
	line = bytes.Trim(line, " \t")
	interpreter, argument := string(line), ""
	if i := bytes.IndexAny(line, " \t"); i >= 0 {
		interpreter, argument = string(line[:i]), string(bytes.TrimLeft(line[i:], " \t"))
	} else if !whole && len(head) >= shebangMax {
		return shebang{}, false // cut off: the kernel refuses it too
	}
	ok = path.IsAbs(interpreter) && !strings.Contains(interpreter, "\x00")
	return shebang{interpreter: interpreter, argument: argument}, ok
}

// envProgram returns the program that `#!/usr/bin/env program` asks for, or "".
func (s shebang) envProgram() string {
	if path.Base(s.interpreter) != "env" {
		return ""
	}
	words := []string{s.argument}
	for _, split := range []string{"-S", "--split-string="} {
		if rest, ok := strings.CutPrefix(s.argument, split); ok {
			words = strings.Fields(rest)
		}
	}
	for _, w := range words {
		if !strings.HasPrefix(w, "-") && !strings.Contains(w, "=") {
			return w
		}
	}
	return ""
}
