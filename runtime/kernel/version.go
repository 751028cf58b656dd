package kernel

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Version is the first two numbers of a kernel release.
type Version struct{ Major, Minor int }

// Less reports whether v is older than w.
func (v Version) Less(w Version) bool {
	return v.Major < w.Major || v.Major == w.Major && v.Minor < w.Minor
}

func (v Version) String() string { return fmt.Sprintf("%d.%d", v.Major, v.Minor) }

// ParseVersion reads the start of a release such as "6.1.0-37-cloud-amd64".
func ParseVersion(release string) (Version, error) {
	major, rest, _ := strings.Cut(release, ".")
	end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(rest)
	}
	// Sixteen bits are plenty, and unsigned: no sign is accepted.
	x, errX := strconv.ParseUint(major, 10, 16)
	y, errY := strconv.ParseUint(rest[:end], 10, 16)
	if err := errors.Join(errX, errY); err != nil {
		return Version{}, fmt.Errorf("parse kernel release %q: %w", release, err)
	}
	return Version{Major: int(x), Minor: int(y)}, nil
}

// Release returns the running kernel's release, as uname(2) gives it.
func Release() (string, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "", fmt.Errorf("uname: %w", err)
	}
	return unix.ByteSliceToString(u.Release[:]), nil
}
