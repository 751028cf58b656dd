package attack

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
)

// family is the children of an attack. Their standard streams are pipes, since there may be no
// /dev/null, and they end when their input does.
type family struct {
	in, release *os.File
	out, said   *os.File
	lines       *bufio.Reader
	started     []*exec.Cmd
}

func newFamily() (*family, error) {
	var f family
	var err error
	if f.in, f.release, err = os.Pipe(); err != nil {
		return nil, err
	}
	if f.said, f.out, err = os.Pipe(); err != nil {
		return nil, errors.Join(err, f.in.Close(), f.release.Close())
	}
	f.lines = bufio.NewReader(f.said)
	return &f, nil
}

// start starts a command as one of the family.
func (f *family) start(cmd *exec.Cmd) error {
	cmd.Stdin, cmd.Stdout, cmd.Stderr = f.in, f.out, f.out
	err := cmd.Start()
	if err == nil {
		f.started = append(f.started, cmd)
	}
	return err
}

// startHelper starts the helper as one of the family, and waits until it runs.
func (f *family) startHelper(path string) error {
	runs, out, err := os.Pipe()
	if err != nil {
		return err
	}
	defer runs.Close() //nolint:errcheck // read-only
	cmd := exec.Command(path)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = f.in, out, f.out
	err = cmd.Start()
	_ = out.Close() // the helper's end is the last, so that it cannot die unnoticed
	if err != nil {
		return err
	}
	f.started = append(f.started, cmd)
	_, err = runs.Read(make([]byte, 1))
	return err
}

// line returns the next line that one of them wrote.
func (f *family) line() (string, error) { return f.lines.ReadString('\n') }

// end lets them end, and reaps those that are the caller's.
func (f *family) end() error {
	err := errors.Join(f.release.Close(), f.in.Close(), f.out.Close())
	for _, cmd := range f.started {
		var exit *exec.ExitError
		if waitErr := cmd.Wait(); waitErr != nil && !errors.As(waitErr, &exit) {
			err = errors.Join(err, waitErr)
		}
	}
	return errors.Join(err, f.said.Close())
}
