package sentinel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"cellwall/suites/attack"
)

// openable are the families and types of attack.OpenFamilies.
var openable = []struct {
	name         string
	family, kind int
}{
	{"AF_VSOCK stream", unix.AF_VSOCK, unix.SOCK_STREAM},
	{"AF_VSOCK datagram", unix.AF_VSOCK, unix.SOCK_DGRAM},
	{"AF_VSOCK seqpacket", unix.AF_VSOCK, unix.SOCK_SEQPACKET}, // Linux 5.14
	{"AF_ALG", unix.AF_ALG, unix.SOCK_SEQPACKET},
}

// FamiliesClosed takes the sockets that the attacker has open and asks the kernel of which family
// they are.
func FamiliesClosed(*Stage) (*Watch, error) {
	var there []string // the kinds that the kernel has
	for _, f := range openable {
		fd, err := unix.Socket(f.family, f.kind|unix.SOCK_CLOEXEC, 0)
		if errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.ESOCKTNOSUPPORT) || errors.Is(err, unix.ENODEV) {
			continue
		}
		if err == nil {
			err = unix.Close(fd)
		}
		if err != nil {
			return nil, fmt.Errorf("try a socket of %s: %w", f.name, err)
		}
		there = append(there, f.name)
	}
	var open []string
	sockets := -1
	return &Watch{
		Hold: func(_ context.Context, _ string, a *Subject) (err error) {
			sockets, open, err = openFamilies(a.PID)
			return err
		},
		Look: func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
			if sockets < 0 {
				return Finding{}, errors.New("the attacker did not hold")
			}
			f := Finding{Evidence: fmt.Sprintf("of the kinds %s that this kernel has, its %d sockets are of: [%s]", strings.Join(there, ", "), sockets, strings.Join(open, ", "))}
			var parts []part
			for _, name := range there {
				parts = append(parts, part{name, slices.Contains(open, name)})
			}
			return f.of(parts...), MustTry(r, "socket AF_VSOCK stream", "socket AF_VSOCK datagram", "socket AF_VSOCK seqpacket", "socket AF_ALG")
		},
	}, nil
}

func openFamilies(pid int) (sockets int, open []string, err error) {
	process, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return 0, nil, fmt.Errorf("open the attacker: %w", err)
	}
	defer func() { err = errors.Join(err, unix.Close(process)) }()
	dir := fmt.Sprintf("/proc/%d/fd/", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, nil, fmt.Errorf("list the attacker's descriptors: %w", err)
	}
	for _, e := range entries {
		number, err := strconv.Atoi(e.Name())
		target, linkErr := os.Readlink(dir + e.Name())
		if err != nil || linkErr != nil || !strings.HasPrefix(target, "socket:") {
			continue
		}
		sockets++
		fd, err := unix.PidfdGetfd(process, number, 0)
		if err != nil {
			return sockets, open, fmt.Errorf("take the attacker's socket: %w", err)
		}
		family, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
		kind, kindErr := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
		if err := errors.Join(err, kindErr, unix.Close(fd)); err != nil {
			return sockets, open, fmt.Errorf("ask for the socket's family: %w", err)
		}
		for _, f := range openable {
			if f.family == family && f.kind == kind {
				open = append(open, f.name)
			}
		}
	}
	return sockets, open, nil
}
