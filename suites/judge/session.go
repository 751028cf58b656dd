package judge

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"cellwall/runtime/cgroup"
	"cellwall/runtime/cleanup"
	"cellwall/runtime/driver"
	"cellwall/suites/attack"
	"cellwall/suites/sentinel"
)

// session is one container with an attacker in it, and the talk with it.
type session struct {
	runtime driver.Runtime
	watch   *sentinel.Watch
	bundle  driver.Bundle
	token   string
	foreign bool // the runtime is not our own

	container driver.Container
	subject   *sentinel.Subject
	in        *os.File // to the attacker
	out       *bufio.Reader
	reader    *os.File // of out
	errs      *tail
	undo      cleanup.Stack
	held      bool // the attacker came to a hold behind the first
	ended     bool
}

// start creates and starts the container.
func (s *session) start(ctx context.Context) error {
	inRead, inWrite, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("make a pipe: %w", err)
	}
	s.in = inWrite
	s.undo.Push("close the attacker's input", inWrite.Close)
	outRead, outWrite, err := os.Pipe()
	if err != nil {
		return errors.Join(fmt.Errorf("make a pipe: %w", err), inRead.Close())
	}
	s.reader = outRead
	s.undo.Push("close the attacker's output", outRead.Close)
	s.errs, err = newTail()
	if err != nil {
		return errors.Join(err, inRead.Close(), outWrite.Close())
	}
	s.undo.Push("close the attacker's errors", s.errs.close)
	s.out = bufio.NewReaderSize(io.LimitReader(outRead, maxOutput), 64<<10)
	s.bundle.Stdin, s.bundle.Stdout, s.bundle.Stderr = inRead, outWrite, s.errs.write
	s.container, err = s.runtime.Create(ctx, s.bundle)
	if err == nil && s.watch.Created != nil && s.container.Pid() > 0 {
		err = s.watch.Created(ctx, s.container.Pid())
	}
	if err == nil {
		err = s.container.Start(ctx)
	}
	// The container alone holds its ends now, so that its end is ours.
	closed := errors.Join(inRead.Close(), outWrite.Close(), s.errs.write.Close())
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && strings.HasSuffix(err.Error(), ": "+exit.Error()) { // and not a word why
		s.errs.drain()
		if text := strings.TrimSpace(s.errs.text()); text != "" {
			err = fmt.Errorf("%w: it wrote %.300q", err, text)
		}
	}
	return cmp.Or(err, closed)
}

// maxOutput bounds what one attacker may say, in bytes.
const maxOutput = 8 << 20

// converse talks with the attacker until its final record.
func (s *session) converse(ctx context.Context) (*attack.Record, error) {
	killed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(killed)
		_ = s.container.Kill(killSignal)                        // ends the read below,
		_ = s.reader.SetReadDeadline(time.Now().Add(drainWait)) // and this where the runtime does not kill
	})
	defer func() {
		if !stop() {
			<-killed // what it has started would be taken for something that the runtime has left
		}
	}()
	for {
		m, err := s.listen()
		if err != nil {
			if ctx.Err() != nil {
				return nil, fmt.Errorf("the attacker did not end: %w", ctx.Err())
			}
			return nil, s.silence(ctx, err)
		}
		switch {
		case s.subject == nil && m.Hold != attack.Ready:
			return nil, errors.New("the attacker did not begin by being ready")
		case s.subject != nil && m.Hold == attack.Ready:
			// What the witness noted before the attack must not be noted anew after it.
			return nil, errors.New("the attacker was ready twice")
		case m.Final != nil && s.watch.Hold != nil && !s.held && !s.watch.Refusable:
			return nil, errors.New("the attacker never came to where it was to hold")
		case m.Final != nil && len(m.Final.Tries) == 0:
			return nil, errors.New("the attacker tried nothing")
		case m.Final != nil:
			// It has nothing more to say; what it leaves behind is seen once it has ended.
			if _, err := s.container.Wait(ctx); err != nil {
				return m.Final, fmt.Errorf("wait for the attacker's end: %w", err)
			}
			return m.Final, nil
		case m.Hold == attack.Ready:
			err = s.find(ctx)
		case s.watch.Hold != nil:
			s.held = true
			err = s.watch.Hold(ctx, m.Hold, s.subject)
		}
		if err != nil {
			return nil, err
		}
		if _, err := io.WriteString(s.in, attack.Go+"\n"); err != nil {
			return nil, s.silence(ctx, err)
		}
	}
}

// listen reads the next message of this trial. Other output is passed over: it is not signed.
func (s *session) listen() (attack.Message, error) {
	for {
		line, err := s.out.ReadString('\n')
		if err != nil {
			return attack.Message{}, err
		}
		var m attack.Message
		if json.Unmarshal([]byte(line), &m) == nil && m.Token == s.token {
			return m, nil
		}
	}
}

// errSilent is wrapped where the attacker has ended without a final record.
var errSilent = errors.New("the attacker made no final record")

// silence explains why no final record came.
func (s *session) silence(ctx context.Context, cause error) error {
	silent, how := errors.New("the attacker stopped talking"), "it is still there"
	if status, err := s.container.Wait(ctx); err == nil {
		silent, how = errSilent, fmt.Sprintf("exit status %d", status.Code)
		if status.Signal != 0 {
			how = "killed by " + status.Signal.String()
		}
		s.errs.drain()
	}
	err := fmt.Errorf("%w (%s)", silent, how)
	if text := strings.TrimSpace(s.errs.text()); text != "" {
		return fmt.Errorf("%w: it wrote %.300q", err, text)
	}
	if !errors.Is(cause, io.EOF) {
		return fmt.Errorf("%w: %w", err, cause)
	}
	return err
}

// find looks for the attacker from outside and tells the witness.
func (s *session) find(ctx context.Context) error {
	pid := s.container.Pid()
	if !driver.Sandboxed(s.runtime) {
		var err error
		if pid, err = findProcess(s.token, pid); err != nil {
			return err
		}
	}
	group, err := cgroup.Open(pid)
	if err != nil {
		return fmt.Errorf("look at the attacker's cgroup: %w", err)
	}
	s.undo.Push("close the view of the cgroup", group.Close)
	s.subject = &sentinel.Subject{PID: pid, Group: group}
	if s.watch.Ready == nil {
		return nil
	}
	if err := s.watch.Ready(ctx, s.subject); err != nil {
		return fmt.Errorf("make ready: %w", err)
	}
	return nil
}

// end deletes the container.
func (s *session) end(ctx context.Context) error {
	if s.ended || s.container == nil {
		return nil
	}
	s.ended = true
	if err := s.container.Delete(ctx); err != nil {
		return fmt.Errorf("delete the container: %w", err)
	}
	if !s.foreign {
		return nil
	}
	return endStrays(s.runtime.Name(), s.token)
}

func (s *session) close() error {
	return errors.Join(s.end(context.Background()), s.undo.Close())
}
