// Package lease gives every invocation of cellwall a name and a directory, and tells those of
// living invocations from what a killed one left.
//
// It removes nothing but the directories of its own lease.
package lease

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"cellwall/runtime/cleanup"
	"cellwall/runtime/rootfs"
)

// Default is where leases lie unless the caller says otherwise.
const Default = "/run/cellwall"

// Prefix starts the name of every lease, and so of every object on the host that belongs to it.
const Prefix = "cellwall-"

// Lease is a name that no other invocation has, while its holder lives.
type Lease struct {
	Name string // Prefix and ten lower-case letters and digits
	Dir  string // below the parent; mode 0755, so that a mapped root can pass
	undo cleanup.Stack
}

// Take makes a lease below parent. The kernel drops its lock when the process ends, however it
// does: flock(2).
func Take(parent string) (_ *Lease, err error) {
	if err := os.MkdirAll(parent, 0o755); err != nil { // a mapped root must pass
		return nil, fmt.Errorf("make the directory of leases: %w", err)
	}
	unlock, err := lock(parent)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	l := &Lease{Name: Prefix + token(strings.ToLower(rand.Text()[:randomLength]))}
	defer l.undo.OnError(&err)
	l.Dir = filepath.Join(parent, l.Name)
	if err := os.Mkdir(l.Dir, 0o755); err != nil { // a mapped root must pass
		return nil, fmt.Errorf("make the lease's directory: %w", err)
	}
	l.undo.Push("remove the lease's directory", func() error { return rootfs.Remove(l.Dir) })
	fd, err := unix.Open(l.Dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open the lease's directory: %w", err)
	}
	l.undo.Push("unlock the lease", func() error { return unix.Close(fd) })
	if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, fmt.Errorf("lock the lease: %w", err)
	}
	return l, nil
}

// lock locks parent, so that no lease is seen between its making and its own lock.
func lock(parent string) (unlock func() error, err error) {
	fd, err := unix.Open(parent, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open the directory of leases: %w", err)
	}
	for {
		err := unix.Flock(fd, unix.LOCK_EX)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("lock the directory of leases: %w", err), unix.Close(fd))
		}
		return func() error { return unix.Close(fd) }, nil
	}
}

// OnDisk is root's own and lies on a disk: hier(7).
const OnDisk = "/var/lib"

// Unrestricted returns a directory of the lease where programs, their set-user-ID bits and device nodes work:
// its own, or one of its name below the first of the parents that will do, which goes with the lease. systemd
// mounts /run and /dev/shm with nosuid and nodev, and Debian /run with noexec. Where none will do it is Dir.
func (l *Lease) Unrestricted(parents ...string) (string, error) {
	if !Restricted(l.Dir) {
		return l.Dir, nil
	}
	for _, parent := range parents {
		if Restricted(parent) {
			continue
		}
		dir := filepath.Join(parent, l.Name)
		if err := os.Mkdir(dir, 0o755); err != nil { // a mapped root must pass
			return "", fmt.Errorf("make a directory of the lease: %w", err)
		}
		l.undo.Push("remove a directory of the lease", func() error { return rootfs.Remove(dir) })
		return dir, nil
	}
	return l.Dir, nil
}

// Restricted reports whether the mount of a path keeps something in it from working, or nobody can tell.
func Restricted(path string) bool {
	var st unix.Statfs_t
	return unix.Statfs(path, &st) != nil || st.Flags&(unix.ST_NOSUID|unix.ST_NODEV|unix.ST_NOEXEC|unix.ST_RDONLY) != 0
}

// Close gives the lease back and removes its directories.
func (l *Lease) Close() error { return l.undo.Close() }

// randomLength is how many letters and digits of a name are random: base32 in lower case.
const randomLength = 7

// token is the part of a name behind Prefix: what is random of it, and three letters and digits that follow from
// that. What somebody else has begun with Prefix is no lease, but for one chance in 32768: it is not ours to remove.
func token(random string) string {
	sum := sha256.Sum256([]byte(random))
	return random + strings.ToLower(base32.StdEncoding.EncodeToString(sum[:])[:3])
}

// Of returns the name of the lease to which an object on the host belongs, by the object's name:
// "cellwall-abcdefgpun-7" belongs to "cellwall-abcdefgpun". It is empty for any other name.
func Of(object string) string {
	rest, ok := strings.CutPrefix(object, Prefix)
	found, _, _ := strings.Cut(rest, "-")
	if !ok || len(found) <= randomLength || found != token(found[:randomLength]) {
		return ""
	}
	return Prefix + found
}

// Living reports whether the holder of a lease below parent is alive. A lease that is not there
// has no holder.
func Living(parent, name string) (bool, error) {
	fd, err := unix.Open(filepath.Join(parent, name), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look at lease %s: %w", name, err)
	}
	defer unix.Close(fd) //nolint:errcheck // read-only
	// Shared, so that two who look do not take each other for the holder.
	switch err := unix.Flock(fd, unix.LOCK_SH|unix.LOCK_NB); {
	case errors.Is(err, unix.EWOULDBLOCK):
		return true, nil
	case err != nil:
		return false, fmt.Errorf("look at lease %s: %w", name, err)
	}
	return false, nil
}

// Left lists the names of leases below parent whose holders are gone.
func Left(parent string) (left []string, err error) {
	unlock, err := lock(parent)
	if errors.Is(err, unix.ENOENT) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	entries, err := os.ReadDir(parent)
	if err != nil {
		return nil, fmt.Errorf("list leases: %w", err)
	}
	for _, e := range entries {
		if !e.IsDir() || Of(e.Name()) != e.Name() {
			continue
		}
		alive, err := Living(parent, e.Name())
		if err != nil {
			return nil, err
		}
		if !alive {
			left = append(left, e.Name())
		}
	}
	return left, nil
}
