package attack

import (
	"os"
	"path/filepath"
	"strings"
)

// ownGroup returns the directory in which the attacker sees its own cgroup that has a file. It
// returns none for the root group, which has neither a limit nor cgroup.events, and none that is
// not the trial's: outside a cgroup namespace its path has the trial's name, Target.Name.
func (a *Attempt) ownGroup(controller, file string) (dir string, v2, ok bool) {
	b, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", false, false
	}
	for line := range strings.Lines(string(b)) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) != 3 || f[2] != "/" && (a.Target.Name == "" || !strings.Contains(f[2], a.Target.Name)) {
			continue
		}
		mounts := []string{"/sys/fs/cgroup/" + f[1]}
		if f[1] == "" {
			mounts = []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}
		} else if !strings.Contains(","+f[1]+",", ","+controller+",") {
			continue
		}
		for _, m := range mounts {
			dir := filepath.Join(m, f[2])
			if _, err := os.Stat(filepath.Join(dir, file)); err == nil {
				return dir, f[1] == "", true
			}
		}
	}
	return "", false, false
}

// write writes to a control file and notes it.
func (a *Attempt) write(path, value string) bool {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteString(value)
		_ = f.Close()
	}
	return a.Try("write "+value+" to "+path, err)
}

// mkdir makes a directory and notes it.
func (a *Attempt) mkdir(path string) bool { return a.Try("mkdir "+path, os.Mkdir(path, 0o755)) }
