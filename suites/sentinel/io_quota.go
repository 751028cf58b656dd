package sentinel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
	"cellwall/suites/attack"
)

// WithoutQuota is the edit of QuotaBounded's control: the project has no quota.
const WithoutQuota = "no project quota"

const (
	quotaBytes = 1 << 20
	quotaFiles = 32
	quotaBound = 3 << 20
	quotaMany  = 64 // files that the attack makes at most, twice
)

// Numbers of linux/quota.h and linux/fs.h.
const (
	setQuota       = 0x800008<<8 | 2 // QCMD(Q_SETQUOTA, PRJQUOTA)
	quotaValid     = 1 | 4           // QIF_BLIMITS | QIF_ILIMITS
	projectInherit = 0x200           // FS_XFLAG_PROJINHERIT
)

// dqblk is struct if_dqblk of linux/quota.h; blocks are KiB.
type dqblk struct {
	blockHard, blockSoft, space, inodeHard, inodeSoft, inodes, blockTime, inodeTime uint64
	valid                                                                           uint32
	_                                                                               uint32
}

// QuotaBounded gives a directory a project of the trial's own with a quota, and measures what the
// attacker has put there.
func QuotaBounded(s *Stage) (*Watch, error) {
	volume, err := s.volume(fillVolume)
	if err != nil {
		return nil, err
	}
	dir := s.volumeDir(fillVolume)
	limits := dqblk{blockHard: quotaBytes >> 10, inodeHard: quotaFiles, valid: quotaValid}
	if s.Has(WithoutQuota) {
		limits = dqblk{valid: quotaValid}
	}
	if err := s.project(dir, limits); err != nil {
		return nil, err
	}
	w := &Watch{Edits: volume, Target: attack.Target{Path: fillVolume, Bytes: quotaBound, Count: quotaMany}}
	w.Look = func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
		files, bytes, err := usage(dir)
		if err != nil {
			return Finding{}, err
		}
		return Finding{
			Breached: files > quotaFiles || bytes > quotaBytes,
			Evidence: fmt.Sprintf("with a quota of %d files and %d bytes there are %d and %d", quotaFiles, quotaBytes, files, bytes),
		}, MustTry(r, "write to first", "FS_IOC_FSSETXATTR", "write to second")
	}
	return w, nil
}

// project makes a directory that of a project, whose number is the trial's uid, and limits it.
func (s *Stage) project(dir string, limits dqblk) error {
	f, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("set a project: %w", err)
	}
	s.Undo.Push("close the volume", f.Close)
	var x attack.FSXattr
	if err := xattr(f, attack.FSGetXattr, &x); err != nil {
		return noQuota(err)
	}
	x.Project, x.Flags = s.UID, x.Flags|projectInherit
	if err := xattr(f, attack.FSSetXattr, &x); err != nil {
		return noQuota(err)
	}
	set := func(d dqblk) error {
		_, _, errno := unix.Syscall6(unix.SYS_QUOTACTL_FD, f.Fd(), setQuota, uintptr(s.UID), uintptr(unsafe.Pointer(&d)), 0, 0)
		if errno != 0 {
			return noQuota(errno)
		}
		return nil
	}
	if err := set(limits); err != nil {
		return err
	}
	s.Undo.Push("take the quota off", func() error { return set(dqblk{valid: quotaValid}) })
	return nil
}

func xattr(f *os.File, request uintptr, x *attack.FSXattr) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), request, uintptr(unsafe.Pointer(x))); errno != 0 {
		return errno
	}
	return nil
}

// noQuota turns a refusal of the file system into an answer.
func noQuota(err error) error {
	for _, errno := range []unix.Errno{unix.ENOTTY, unix.EOPNOTSUPP, unix.ENOSYS, unix.ESRCH, unix.EINVAL} {
		if errors.Is(err, errno) {
			return kernel.Unsupported("project quota where trials are kept: %v: mount that file system with prjquota", err)
		}
	}
	return fmt.Errorf("set a project quota: %w", err)
}
