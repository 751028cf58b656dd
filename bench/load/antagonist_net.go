package load

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

const (
	datagram = 1400             // bytes, which fit into one frame
	beat     = time.Millisecond // how often a rate is kept to
)

// sendOn sends datagrams to Far at a rate, whether or not they arrive, up to its bytes. An operation is
// a byte.
func sendOn(w *worker) error {
	to, err := inet(w.Address)
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("make a socket: %w", err)
	}
	b := make([]byte, datagram)
	// behind is what the rate allows and was not sent yet; what was missed in a pause is not made up for
	// beyond two beats.
	last, behind, left := monotonic(), 0.0, w.Bytes
	for w.going() && left >= datagram {
		now := monotonic()
		behind += float64(w.Rate) * time.Duration(now-last).Seconds()
		behind, last = min(behind, datagram+float64(w.Rate)*2*beat.Seconds()), now
		for ; behind >= datagram && left >= datagram; behind -= datagram {
			switch err := unix.Sendto(fd, b, 0, to); {
			case err == nil:
				w.moved(datagram)
				left -= datagram
			case errors.Is(err, unix.ENOBUFS), errors.Is(err, unix.EAGAIN):
				w.refused()
			default:
				return fmt.Errorf("send: %w", err)
			}
		}
		w.pause(beat)
	}
	w.rest()
	return nil
}

// receiveOn reads what Far sends over TCP, as fast as it comes, up to its bytes. An operation is a byte.
func receiveOn(w *worker) error {
	to, err := inet(w.Address)
	if err != nil {
		return err
	}
	fd, err := dial(to)
	if err != nil {
		return err
	}
	wait := unix.NsecToTimeval(int64(tick)) // so that a stop is heard where nothing comes
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait); err != nil {
		return fmt.Errorf("set a timeout: %w", err)
	}
	b := make([]byte, farBytes)
	for got := int64(0); w.going() && got < w.Bytes; {
		n, err := unix.Read(fd, b)
		switch {
		case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR): // with a timeout it is not begun again by itself
			continue
		case err != nil:
			return fmt.Errorf("receive: %w", err)
		case n == 0:
			return fmt.Errorf("receive: %w", unix.EPIPE)
		}
		got += int64(n)
		w.moved(n)
	}
	w.rest()
	return nil
}

// moved counts bytes.
func (w *worker) moved(n int) {
	w.done().Add(int64(n))
	w.atWork()
}

// rest waits for the end where a bound of bytes is met, so that the crew does not take the worker for one
// that has failed.
func (w *worker) rest() {
	for w.going() {
		w.pause(tick)
	}
}
