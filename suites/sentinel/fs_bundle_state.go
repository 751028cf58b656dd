package sentinel

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
)

// showRoot binds the root directory where every user of the host may go. It is called on a thread in
// the stand-in for the host's mounts.
func (s *Stage) showRoot(root string) error {
	shown := filepath.Join(s.Dir, "shown")
	if err := publicDir(shown); err != nil {
		return err
	}
	if err := unix.Mount(root, shown, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("stand in for a careless runtime: %w", err)
	}
	return nil
}

// pathsTo are the paths of a file on the host: by its own and by every other mount that shows the file
// system that it is on, of which it lies at the top.
func (h *hostMounts) pathsTo(file string, info os.FileInfo) ([]string, error) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil, errors.New("no stat(2) result")
	}
	lines, err := h.list()
	if err != nil {
		return nil, err
	}
	paths := []string{file}
	for _, point := range mountsOf(lines, st.Dev) {
		paths = append(paths, filepath.Join(point, filepath.Base(file)))
	}
	slices.Sort(paths[1:])
	return slices.Compact(paths), nil
}

// mountsOf are the mount points of a device, of lines of proc_pid_mountinfo(5).
func mountsOf(lines []string, dev uint64) (points []string) {
	device := fmt.Sprintf("%d:%d", unix.Major(dev), unix.Minor(dev))
	for _, line := range lines {
		if m := parseMount(line); m.device == device {
			points = append(points, m.point)
		}
	}
	return points
}

// readableState lists what of the runtime's state the trial's user of the host can read, and how many
// files of it there are: what bears the container's name where runtimes keep state, and the directories
// that the driver gives an OCI runtime or podman.
func (s *Stage) readableState() (open []string, looked int, err error) {
	if s.Has(OpenState) {
		dir := filepath.Join(s.Dir, "oci-open", "state")
		if err := os.MkdirAll(dir, 0o755); err != nil { // it is to be open
			return nil, 0, fmt.Errorf("stand in for a careless runtime: %w", err)
		}
		if err := publicFile(filepath.Join(dir, "state.json"), "{}"); err != nil {
			return nil, 0, err
		}
	}
	places, err := stateOf([]string{s.Name})
	if err != nil {
		return nil, 0, err
	}
	for _, own := range []string{"oci-*/state", "podman-*/[rst]*"} {
		more, err := filepath.Glob(filepath.Join(s.Dir, own))
		if err != nil {
			return nil, 0, fmt.Errorf("look for state: %w", err)
		}
		places = append(places, more...)
	}
	var files []string
	for _, place := range places {
		if real, err := filepath.EvalSymlinks(place); err == nil && real == s.Dir {
			continue // /run/shm may be /dev/shm
		}
		err := filepath.WalkDir(place, func(path string, e fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // gone meanwhile
			}
			if err == nil && e.Type().IsRegular() {
				files = append(files, path)
			}
			return err
		})
		if err != nil {
			return nil, 0, fmt.Errorf("look for state: %w", err)
		}
	}
	open, err = readableBy(s.UID, files)
	return open, len(files), err
}

// stateless returns an error for an OCI runtime, which cannot be without state: its commands have
// nothing else in common.
func (s *Stage) stateless() error {
	bundles, err := filepath.Glob(filepath.Join(s.Dir, "oci-*"))
	if err == nil && len(bundles) > 0 {
		err = errors.New("look for state: an OCI runtime has some, and none was found")
	}
	return err
}

// readableBy asks the kernel which files a user of the host can open: on a thread that has its
// uid for file systems, and so none of root's capabilities for them (setfsuid(2)).
func readableBy(uid uint32, files []string) (open []string, err error) {
	err = kernel.OnThread(func() error {
		for _, call := range []uintptr{unix.SYS_SETFSGID, unix.SYS_SETFSUID} {
			// It says the id before, and fails without a word: asked again, it tells.
			_, _, _ = unix.RawSyscall(call, uintptr(uid), 0, 0)
			if now, _, _ := unix.RawSyscall(call, uintptr(uid), 0, 0); now != uintptr(uid) {
				return errors.New("become a user of the host: setfsuid(2) does nothing")
			}
		}
		for _, file := range files {
			fd, err := unix.Open(file, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
			if err == nil {
				open = append(open, file)
				err = unix.Close(fd)
			}
			if err != nil && !errors.Is(err, unix.EACCES) && !errors.Is(err, unix.ENOENT) {
				return fmt.Errorf("read a file of state: %w", err)
			}
		}
		return nil
	})
	return open, err
}
