package vm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"cellwall/ci/vm/guest"
)

// powerOff is how long a guest may take to switch off after all that it has to say has been read.
// One that takes longer is killed, and nothing is lost.
const powerOff = 10 * time.Second

// What went wrong when a guest is killed by the clock.
var (
	errBoot  = errors.New("it was not up in time")
	errLimit = errors.New("it did not end in time")
)

// attempt is one boot of a guest by one accelerator.
type attempt struct {
	guest   Guest
	accel   string
	machine *machine
	console *console
	channel *channel
	up      guest.Frame
	upAfter time.Duration

	mu    sync.Mutex
	wrong error // the first thing for which we ended it
}

// boot boots the guest once.
func (g Guest) boot(ctx context.Context, program, accel string, initramfs *os.File) (Result, error) {
	m, err := g.start(program, accel, initramfs)
	if err != nil {
		return Result{Accel: accel}, err
	}
	a := &attempt{guest: g, accel: accel, machine: m, console: &console{to: g.Console}}
	clocks := []*time.Timer{
		time.AfterFunc(g.Boot, func() { a.fail(errBoot) }),
		time.AfterFunc(g.Limit, func() { a.fail(errLimit) }),
	}
	stop := context.AfterFunc(ctx, func() { a.fail(context.Cause(ctx)) })
	a.channel = &channel{
		records: &lines{to: g.Records}, stdout: g.Stdout, stderr: g.Stderr,
		up: func(f guest.Frame) {
			if clocks[0].Stop() { // else it is too late
				a.up, a.upAfter = f, time.Since(m.started)
				a.begin()
			}
		},
	}
	var reading sync.WaitGroup
	reading.Go(a.readConsole)
	reading.Go(func() {
		if err := a.channel.read(m.channel); err != nil {
			a.fail(err)
			return
		}
		if a.channel.exit == nil {
			return
		}
		// It has said all. From here on it may be killed, and that is no failure any more.
		clocks[1].Stop()
		stop()
		stop = context.AfterFunc(ctx, m.kill)
		clocks = append(clocks, time.AfterFunc(powerOff, m.kill))
		// It may go. One that is gone by now needs no answer.
		_, _ = m.channel.Write([]byte{guest.Ack})
	})
	ended := <-m.ended
	took := time.Since(m.started)
	reading.Wait() // QEMU had the only other ends
	stop()
	for _, c := range clocks {
		c.Stop()
	}
	result := Result{Accel: accel, Up: a.upAfter, Took: took, Notes: a.up.Notes}
	result.Tail, _ = a.console.tail()
	err = a.judge(ended)
	if err == nil {
		result.Exit = a.channel.exit.Code
	}
	return result, errors.Join(err, m.close())
}

// begin tells that the guest is up, and has its program read.
func (a *attempt) begin() {
	if a.guest.Began != nil {
		a.guest.Began()
	}
	if c := a.guest.Container; c != nil {
		go a.feed(c.Stdin)
	}
}

// feed sends what a container's program is to read, until its end or the guest's: what is not sent then is read
// by nobody.
func (a *attempt) feed(from io.Reader) {
	out := json.NewEncoder(a.machine.channel)
	buf := make([]byte, guest.ChunkSize)
	for from != nil {
		n, err := from.Read(buf)
		if n > 0 && out.Encode(guest.Input{Data: buf[:n]}) != nil {
			return
		}
		if err != nil {
			break
		}
	}
	_ = out.Encode(guest.Input{}) // it may have ended
}

// fail ends the guest for a reason, of which the first counts.
func (a *attempt) fail(why error) {
	a.mu.Lock()
	if a.wrong == nil {
		a.wrong = why
	}
	a.mu.Unlock()
	a.machine.kill()
}

func (a *attempt) failure() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.wrong
}

// readConsole passes the console on until its end, which tells nothing.
func (a *attempt) readConsole() {
	buf := make([]byte, 32<<10)
	for {
		n, err := a.machine.console.Read(buf)
		if n > 0 {
			if _, err := a.console.Write(buf[:n]); err != nil {
				a.fail(fmt.Errorf("pass on the console: %w", err))
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// judge says what went wrong, after all has been read. Ended is what QEMU ended with.
func (a *attempt) judge(ended error) error {
	tail, complaint := a.console.tail()
	kernel := func(format string, args ...any) error {
		return &BootError{Kernel: a.guest.Kernel.Name, Accel: a.accel, Why: fmt.Sprintf(format, args...), Tail: tail}
	}
	ours := func(err error) error { return fmt.Errorf("guest %s: %w", a.guest.Kernel.Name, err) }
	wrong, exit := a.failure(), a.channel.exit
	late := errors.Is(wrong, errBoot) || errors.Is(wrong, errLimit)
	switch {
	case exit != nil && exit.Error != "":
		return ours(errors.New(exit.Error))
	case wrong != nil && !late:
		return ours(wrong)
	case exit == nil && complaint != "":
		return ours(fmt.Errorf("its init says: %s", complaint))
	case errors.Is(wrong, errBoot):
		return kernel("init was not up within %v", a.guest.Boot)
	case errors.Is(wrong, errLimit) && a.upAfter > 0:
		return kernel("it was up after %v, but had not ended within %v", a.upAfter.Round(time.Millisecond), a.guest.Limit)
	case late:
		return kernel("init was not up within %v", a.guest.Limit)
	case exit != nil && a.upAfter == 0:
		return ours(errors.New("it ended before it was up, and did not say why"))
	case exit != nil:
		return a.rightKernel()
	case ended != nil:
		return ours(a.qemu(ended))
	case a.upAfter > 0:
		return kernel("it ended without a word after %d frames", a.channel.frames)
	}
	return kernel("it ended before init was up")
}

// qemu is the error of a QEMU that could not begin or did not come to its end.
func (a *attempt) qemu(ended error) error {
	if said, _ := a.machine.said.tail(); len(said) > 0 {
		return fmt.Errorf("QEMU ended with %w: %s", ended, strings.Join(said, "; "))
	}
	return fmt.Errorf("QEMU ended with %w", ended)
}

// rightKernel refuses results of another kernel than was asked for.
func (a *attempt) rightKernel() error {
	if want := a.guest.Kernel.Release; want != "" && a.up.Release != want {
		return fmt.Errorf("guest %s: the kernel calls itself %s, not %s", a.guest.Kernel.Name, a.up.Release, want)
	}
	return nil
}
