package load

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// The names of the programs that answer.
const (
	pipeEcho = "pipe-echo"
	tcpEcho  = "tcp-echo"
)

// acts are the programs that measure nothing by themselves. They get the arguments behind their name.
func acts() map[string]func([]string) int {
	return map[string]func([]string) int{
		pipeEcho: func([]string) int { return echo(0, 1) },
		tcpEcho:  echoTCP,
		Exit:     func([]string) int { return 0 },
		Spin:     spin,
		Pauses:   pauses,
		Hog:      hog,

		Victim:           victim,
		Antagonist:       antagonise,
		antagonistWorker: workOn,
		Far:              far,
	}
}

// Exit is the act that ends at once: the start of a static program of several megabytes.
const Exit = "exit"

// echo sends back every byte that comes, until none does.
func echo(in, out int) int {
	var b [1]byte
	for {
		if n, err := unix.Read(in, b[:]); n != 1 || err != nil {
			return 0
		}
		if _, err := unix.Write(out, b[:]); err != nil {
			return 1
		}
	}
}

// answering starts an act of this program as a child, with standard streams of the caller's.
func answering(act string, in, out *os.File, args ...string) error {
	cmd := exec.Command(os.Args[0], append([]string{act}, args...)...)
	if in != nil {
		cmd.Stdin, cmd.Stdout = in, out
	} else {
		cmd.Stdin, cmd.Stdout = os.Stdin, os.Stderr // there may be no /dev/null
	}
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", act, err)
	}
	return nil // it ends when its input does, or with us
}

// roundTrip sends a byte and waits for it to come back.
func roundTrip(out, in int) func(int) error {
	var b [1]byte
	return repeat(func() error {
		if _, err := unix.Write(out, b[:]); err != nil {
			return fmt.Errorf("send: %w", err)
		}
		n, err := unix.Read(in, b[:])
		if err == nil && n != 1 {
			err = unix.EPIPE
		}
		if err != nil {
			return fmt.Errorf("wait for the answer: %w", err)
		}
		return nil
	})
}

// openPipe has a child answer over two pipes.
func openPipe() (func(int) error, error) {
	var there, back [2]int
	for _, p := range []*[2]int{&there, &back} {
		if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
			return nil, fmt.Errorf("make a pipe: %w", err)
		}
	}
	in, out := os.NewFile(uintptr(there[0]), "pipe"), os.NewFile(uintptr(back[1]), "pipe")
	if err := answering(pipeEcho, in, out); err != nil {
		return nil, err
	}
	_, _ = in.Close(), out.Close() // the child has them
	return roundTrip(there[1], back[0]), nil
}

func loopback() [4]byte { return [4]byte{127, 0, 0, 1} }

// openTCP has a child answer over a connection of the loopback interface.
func openTCP() (func(int) error, error) {
	listener, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("make a socket: %w", err)
	}
	if err := unix.Bind(listener, &unix.SockaddrInet4{Addr: loopback()}); err != nil {
		return nil, fmt.Errorf("bind to the loopback interface: %w", err)
	}
	if err := unix.Listen(listener, 1); err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	name, err := unix.Getsockname(listener)
	if err != nil {
		return nil, fmt.Errorf("ask for the port: %w", err)
	}
	at, ok := name.(*unix.SockaddrInet4)
	if !ok {
		return nil, fmt.Errorf("the socket's address is a %T", name)
	}
	if err := answering(tcpEcho, nil, nil, strconv.Itoa(at.Port)); err != nil {
		return nil, err
	}
	fd, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("accept: %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return nil, fmt.Errorf("set TCP_NODELAY: %w", err)
	}
	return roundTrip(fd, fd), unix.Close(listener)
}

// echoTCP connects to a port of the loopback interface and echoes.
func echoTCP(args []string) int {
	port := 0
	if len(args) == 1 {
		port, _ = strconv.Atoi(args[0])
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 1
	}
	if unix.Connect(fd, &unix.SockaddrInet4{Port: port, Addr: loopback()}) != nil {
		return 1
	}
	if unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) != nil {
		return 1
	}
	return echo(fd, fd)
}
