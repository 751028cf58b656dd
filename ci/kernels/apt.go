package kernels

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// apt is one suite of one architecture, with a configuration, a state and a cache of its own.
type apt struct {
	dir   string
	entry Entry
}

// configuration keeps apt away from everything that the host has: apt.conf(5). It is read before
// the host's own, and says that this is elsewhere.
const configuration = `// Written anew by every cellwall kernels.
Dir::Etc "%[1]s/etc";
Dir::State "%[1]s/state";
Dir::State::status "%[1]s/state/status";
Dir::Cache "%[1]s/cache";
Dir::Cache::srcpkgcache ""; // as large as the other, and soon made anew
Dir::Log "%[1]s/log";
APT::Architecture "%[2]s";
APT::Architectures { "%[2]s"; };
APT::Sandbox::User "root"; // that is: nobody else, who could not write here
APT::Install-Recommends "false";
APT::Update::Error-Mode "any"; // an old index is not taken for a new one
Acquire::Languages "none";
Acquire::PDiffs "false";
Acquire::GzipIndexes "true";
Acquire::Retries "2";
// A snapshot and a suite that is not updated any more are old, and meant to be.
Acquire::Check-Valid-Until "false";
// A suite becomes stable and oldstable. Who may sign it stays the same.
Acquire::AllowReleaseInfoChange "true";
Debug::NoLocking "true"; // the cache is locked as a whole
`

func (c *Cache) apt(e Entry) (*apt, error) {
	a := &apt{dir: filepath.Join(c.Dir, "apt", e.Suite+"-"+e.Arch), entry: e}
	if strings.ContainsAny(a.dir, "\"\\\n") {
		return nil, fmt.Errorf("the cache %q has a name that apt cannot be told: choose another directory", c.Dir)
	}
	if _, err := os.Stat(e.Keyring); err != nil {
		return nil, fmt.Errorf("%w: install debian-archive-keyring, or name a keyring in %s", err, e.File)
	}
	for _, dir := range []string{"etc/apt.conf.d", "etc/preferences.d", "etc/trusted.gpg.d", "state/lists/partial", "cache/archives/partial", "log"} {
		if err := os.MkdirAll(filepath.Join(a.dir, dir), 0o700); err != nil {
			return nil, fmt.Errorf("prepare apt: %w", err)
		}
	}
	var sources strings.Builder
	for _, m := range e.Mirrors {
		fmt.Fprintf(&sources, "deb [arch=%s signed-by=%s] %s %s main\n", e.Arch, e.Keyring, m, e.Suite)
	}
	for name, text := range map[string]string{
		"apt.conf":         fmt.Sprintf(configuration, a.dir, e.Arch),
		"etc/sources.list": sources.String(),
		"state/status":     "", // nothing is installed
	} {
		if err := os.WriteFile(filepath.Join(a.dir, name), []byte(text), 0o600); err != nil {
			return nil, fmt.Errorf("prepare apt: %w", err)
		}
	}
	return a, nil
}

// update reads the index of the suite from the mirrors.
func (a *apt) update(ctx context.Context, tell Progress) error {
	_, err := a.run(ctx, tell.bytes(fmt.Sprintf("read the index of %s (%s)", a.entry.Suite, a.entry.Arch), 0), "apt-get", "update")
	if err != nil {
		return fmt.Errorf("read the index of %s from %s: %w", a.entry.Suite, strings.Join(a.entry.Mirrors, ", "), err)
	}
	return nil
}

// show lists the versions of a package that the index has, none if it does not know the package.
func (a *apt) show(ctx context.Context, name string) ([]stanza, error) {
	out, err := a.run(ctx, nil, "apt-cache", "show", "--all-versions", name)
	if err != nil && strings.Contains(err.Error(), "No packages found") {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for %s: %w", name, err)
	}
	return parseStanzas(out), nil
}

// names lists the packages whose names begin with a prefix.
func (a *apt) names(ctx context.Context, prefix string) ([]string, error) {
	out, err := a.run(ctx, nil, "apt-cache", "pkgnames", prefix)
	return strings.Fields(out), err
}

// download puts a package into a directory that is empty, and returns its path.
func (a *apt) download(ctx context.Context, s stanza, into string, tell Progress) (string, error) {
	_, err := a.runIn(ctx, into, tell.bytes("fetch "+s.Package, s.size), "apt-get", "download", s.Package+"="+s.Version)
	if err != nil {
		return "", fmt.Errorf("fetch %s: %w", s.Deb, err)
	}
	files, err := filepath.Glob(filepath.Join(into, "*.deb"))
	if err == nil && len(files) != 1 {
		err = fmt.Errorf("fetch %s: apt-get has left %d packages, not one", s.Deb, len(files))
	}
	if err != nil {
		return "", err
	}
	return files[0], nil
}

func (a *apt) run(ctx context.Context, tell func(percent float64), program string, args ...string) (string, error) {
	return a.runIn(ctx, a.dir, tell, program, args...)
}

// runIn runs a program of apt in a directory and returns what it prints. Its error is what it says
// itself.
func (a *apt) runIn(ctx context.Context, dir string, tell func(percent float64), program string, args ...string) (string, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		return "", fmt.Errorf("%s is not on this host: packages are got with Debian's apt; name the kernel by its path instead, or copy a cache here", program)
	}
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, path, append([]string{"-q", "-o", "APT::Status-Fd=3"}, args...)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &errs
	cmd.Env = append(os.Environ(), "LC_ALL=C", "APT_CONFIG="+filepath.Join(a.dir, "apt.conf"))
	err = watched(cmd, tell)
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err != nil {
		return "", saidBy(program, errs.String(), err)
	}
	return out.String(), nil
}

// watched runs a program that says on its descriptor 3 how far it is, and ends it when we end.
func watched(cmd *exec.Cmd, tell func(percent float64)) error {
	runtime.LockOSThread() // for Pdeathsig: the thread must not end before the process
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = 5 * time.Second // for those that it has started, which end with its pipes
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	cmd.ExtraFiles = []*os.File{w}
	read := make(chan struct{})
	go func() {
		defer close(read)
		readStatus(r, tell)
	}()
	err = cmd.Start()
	err = errors.Join(err, w.Close())
	if err == nil {
		err = cmd.Wait()
	}
	err = errors.Join(err, r.Close())
	<-read
	return err
}

// readStatus reads lines such as "dlstatus:1:42.5:Retrieving file 1 of 1".
func readStatus(r io.Reader, tell func(percent float64)) {
	for lines := bufio.NewScanner(r); lines.Scan(); {
		parts := strings.SplitN(lines.Text(), ":", 4)
		if len(parts) < 4 || parts[0] != "dlstatus" || tell == nil {
			continue
		}
		if percent, err := strconv.ParseFloat(parts[2], 64); err == nil && percent >= 0 && percent <= 100 {
			tell(percent)
		}
	}
}

// advice is what can be done about some complaints.
var advice = []struct{ sign, what string }{
	{"resolving", "is there a network? What has been fetched once needs none"},
	{"is not signed", "the keyring does not know who signs this suite; install a newer debian-archive-keyring"},
	{"does not have a Release file", "is the suite still there? Old ones move to http://archive.debian.org/debian"},
}

// saidBy makes an error of the first thing that apt complains about.
func saidBy(program, stderr string, err error) error {
	for line := range strings.Lines(stderr) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), "E: "); ok {
			for _, known := range advice {
				if strings.Contains(text, known.sign) {
					return errors.New(text + ": " + known.what)
				}
			}
			return errors.New(text)
		}
	}
	return fmt.Errorf("%s: %w: %.200q", program, err, stderr)
}
