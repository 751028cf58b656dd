package command

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/spf13/cobra"

	"cellwall/runtime/cgroup"
	"cellwall/runtime/lease"
)

// call runs the command line and returns the exit code and both streams.
func call(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = Main(t.Context(), args, strings.NewReader(""), &o, &e)
	return code, o.String(), e.String()
}

// A command is found by its own name, and beside it there is only what cobra adds.
func TestSubcommands(t *testing.T) {
	for _, s := range subcommands() {
		if found := newRoot([]string{s.name}).Commands(); len(found) != 1 || found[0].Name() != s.name {
			t.Errorf("%s gives %v", s.name, found)
		}
	}
	if n := len(newRoot(nil).Commands()); n != len(subcommands()) {
		t.Errorf("%d commands without a name, of %d", n, len(subcommands()))
	}
}

// TestCompletion: the shell completes the values of each flag that has a list of them.
func TestCompletion(t *testing.T) {
	var look func(*cobra.Command)
	look = func(c *cobra.Command) {
		for _, name := range []string{"only", "runtime", "runtimes", "rung", "rungs", "format", "attach", "victims", "antagonists", "means"} {
			if _, ok := c.GetFlagCompletionFunc(name); !ok && !c.Hidden && c.Flags().Lookup(name) != nil {
				t.Errorf("%s --%s completes nothing", c.CommandPath(), name)
			}
		}
		for _, sub := range c.Commands() {
			look(sub)
		}
	}
	look(newRoot(nil))
}

// TestWrongUse types what a tired person would. Each answer is one line that names the thing,
// exit status 2, before anything is done, so it needs no privilege.
func TestWrongUse(t *testing.T) {
	bundle := t.TempDir()
	write := func(name, text string) string {
		dir := filepath.Join(bundle, name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	malformed := write("malformed", "{\n\"ociVersion\": \"1.0.0\",\n\"process\": {,}\n}")
	wrongType := write("type", `{"process": {"args": "sh"}}`)
	empty := write("empty", `{}`)
	noRoot := write("noroot", `{"process":{"args":["sh"],"cwd":"/"},"root":{"path":"nowhere"},"linux":{}}`)
	noPath := write("nopath", `{"process":{"args":["sh"],"cwd":"/"},"root":{},"linux":{}}`)
	none := filepath.Join(bundle, "none")
	for _, c := range []struct {
		args []string
		want string
	}{
		{args: []string{"frob"}, want: "see cellwall --help"},
		{args: []string{"verify", "--frob"}, want: "--frob"},
		{args: []string{"verify", "process.*"}, want: "process.*"},
		{args: []string{"verify", "--rung", "moon"}, want: "moon"},
		{args: []string{"verify", "--runtime", "moon"}, want: "moon"},
		{args: []string{"verify", "--runtime"}, want: "--runtime"},
		{args: []string{"verify", "--runtime", ""}, want: "--runtime names nothing: leave it out"},
		{args: []string{"verify", "--runtime", "/opt/runc"}, want: "write oci:/opt/runc, or NAME=/opt/runc"},
		{args: []string{"verify", "--runtime", "exec:" + none}, want: none},
		{args: []string{"verify", "--runtime", "runc,"}, want: "names no runtime: it takes core"},
		{args: []string{"verify", "--runtime", "runc,runc"}, want: "runc is there twice"},
		{args: []string{"verify", "--runtime", "runc,runc=/bin/runc"}, want: "runc is there twice"},
		{args: []string{"verify", "--runtime", "all,core"}, want: "all is every runtime that is found"},
		{args: []string{"verify", "--runtime", "core,moon"}, want: "moon"},
		{args: []string{"verify", "--format", ""}, want: "--format"},
		{args: []string{"verify", "--format", "text,sarif"}, want: "--out"},
		{args: []string{"ladder", "--runtime", "all"}, want: "one runtime"},
		{args: []string{"ladder", "--runtime", "core,runc"}, want: "one runtime"},
		{args: []string{"ladder", "--format", "page"}, want: "page"},
		{args: []string{"report"}, want: "takes one file of records"},
		{args: []string{"report", "a.jsonl", "b.jsonl"}, want: "a.jsonl: no such file"},
		{args: []string{"report", "nothing.jsonl"}, want: "nothing.jsonl"},
		{args: []string{"report", bundle}, want: bundle + "/records.jsonl: no such file"},
		{args: []string{"report", "nothing.jsonl", "--format", "pdf"}, want: "pdf"},
		{args: []string{"report", "nothing.jsonl", "--format", "jsonl"}, want: "jsonl"},
		{args: []string{"report", "nothing.jsonl", "--format", "text,page"}, want: "--out"},
		{args: []string{"verify", "--only", "fs.nosuch"}, want: "fs.nosuch"},
		{args: []string{"verify", "--only", "fs"}, want: "'fs.*'"},
		{args: []string{"verify", "--only", ""}, want: "names nothing"},
		{args: []string{"ladder", "--only", ""}, want: "names nothing"},
		{args: []string{"bench", "--only", ""}, want: "names nothing"},
		{args: []string{"compare", "--binary", "--only", "", "a", "b"}, want: "names nothing"},
		{args: []string{"matrix", "--only", ""}, want: "names nothing"},
		{args: []string{"matrix", "--kernels", ""}, want: "--kernels names nothing"},
		{args: []string{"verify", "--out", "", "--only", "fs.dotdot"}, want: "--out names nothing: leave it out, or give it a value: see cellwall verify --help"},
		{args: []string{"kernels", "list", "--cache", ""}, want: "--cache names nothing: leave it out, or give it a value: see cellwall kernels list --help"},
		{args: []string{"run", "--rootfs", "", "--", "true"}, want: "--rootfs names nothing"},
		{args: []string{"verify", "--runtime", "core", "runc"}, want: `got "runc" (a list has commas between): see cellwall verify --help`},
		{args: []string{"history"}, want: "cellwall: history has the commands add, check and show: see cellwall history --help"},
		{args: []string{"verify", "--out", bundle + "/malformed/config.json/deep"}, want: "not a directory"},
		{args: []string{"verify", "--out", bundle + "/malformed/config.json"}, want: "is no directory"},
		{args: []string{"verify", "--only", "fs.dotdot", "--out", "/proc/none"}, want: "--out /proc/none: make a file in /proc: no such file or directory"},
		{args: []string{"report", none, "--out", "/proc"}, want: "--out /proc: make a file in /proc"},
		{args: []string{"ladder", "--only", "fs.dotdot", "--out", "/sys/none/deep"}, want: "--out /sys/none/deep: make a file in /sys: "},
		{args: []string{"probe", "oom", "--for", "1ms", "--plot", "/proc/none/x.svg"}, want: "--plot /proc/none: make a file in /proc"},
		{args: []string{"probe", "oom", "--for", "1ms", "--plot", bundle}, want: "it is a directory: name a file in it"},
		{args: []string{"verify", "fs.dotdot"}, want: "try cellwall verify --only 'fs.dotdot'"},
		{args: []string{"doctor", "please"}, want: "see cellwall doctor --help"},
		{args: []string{"list", "moon"}, want: `"moon" matches no guarantee`},
		{args: []string{"verify", "--only", "[z"}, want: "[z"},
		{args: []string{"verify", "--format", "pdf"}, want: "pdf"},
		{args: []string{"ladder", "--format", "junit"}, want: "junit"},
		{args: []string{"probe", "frob"}, want: "there are throttle, oom"},
		{args: []string{"probe", "start"}, want: "start watches a program"},
		{args: []string{"probe", "--attach", "rope"}, want: "--attach \"rope\" is none of [fentry"},
		{args: []string{"probe", "oom", "pids", "oom", "--for", "1ms"}, want: "probe oom is there twice"},
		{args: []string{"probe", "--cgroup", "/x", "--container", "y"}, want: "not both"},
		{args: []string{"probe", "--for", "-1s"}, want: "negative"},
		{args: []string{"probe", "--all", "oom"}, want: "--all is every probe"},
		{args: []string{"probe", "oom", "--", none}, want: none + ": no such file or directory"},
		{args: []string{"run", "--from-host", "no-such-program", "--", "sh"}, want: "--from-host: "},
		{args: []string{"explain", "--image", "/etc/passwd", "--", "sh"}, want: "--image takes a tar of a root directory or an OCI image: "},
		{args: []string{"explain", "--rootfs", bundle, "--cwd", "tmp", "--", "sh"}, want: `--cwd "tmp": want an absolute path in the container`},
		{args: []string{"explain", "--rootfs", bundle, "--cpus", "0.0001", "--", "sh"}, want: "--cpus 0.0001: want a number of CPUs, 0.01 or more"},
		{args: []string{"explain", "--rootfs", bundle, "--cpus", "NaN", "--", "sh"}, want: "--cpus NaN: want a number"},
		{args: []string{"explain", "--rootfs", bundle, "--hostname", strings.Repeat("a", 65), "--", "sh"}, want: `--hostname "aaaaaaaaaaaaaaaaaaaa": 65 bytes are more than the kernel's 64`},
		{args: []string{"compare", "HEAD~1", "HEAD"}, want: "revisions go with --build"},
		{args: []string{"interfere", "--all", "--victims", "cpu"}, want: "--all is every pair"},
		{args: []string{"history", "shw"}, want: "see cellwall history --help"},
		{args: []string{"kernels", "lst"}, want: "see cellwall kernels --help"},
		{args: []string{"run"}, want: "--rootfs"},
		{args: []string{"run", "--rootfs", "/", "--from-host", "sh", "--", "sh"}, want: "one root"},
		{args: []string{"run", "--id", "../x", "--rootfs", bundle, "--", "sh"}, want: "../x"},
		{args: []string{"explain", "--rootfs", bundle, "--bind", none + ":/x", "--", "sh"}, want: "--bind " + none + ":/x: stat"},
		{args: []string{"run", "--moon"}, want: "unknown flag: --moon: see cellwall run --help"},
		{args: []string{"exec"}, want: "a container and a program"},
		{args: []string{"exec", "../x", "--", "sh"}, want: "../x"},
		{args: []string{"exec", "nosuch", "--", "sh"}, want: map[bool]string{true: "no container nosuch runs here: cellwall run --id nosuch makes one\n", false: "needs root"}[os.Geteuid() == 0]},
		{args: []string{"explain", "--rootfs", "/nosuch", "--", "sh"}, want: "/nosuch"},
		{args: []string{"explain", "--rootfs", bundle}, want: "no program: name it behind the flags, as -- PROGRAM"},
		{args: []string{"explain", "--from-host", "no-such-program", "--", "sh"}, want: "no-such-program"},
		{args: []string{"explain", "--image", "/nosuch.tar", "--", "sh"}, want: "/nosuch.tar"},
		{args: []string{"explain", "--bundle", none}, want: "config.json"},
		{args: []string{"explain", "--bundle", malformed}, want: "config.json:3"},
		{args: []string{"explain", "--bundle", wrongType}, want: "process.args is a string, want a []string"},
		{args: []string{"explain", "--bundle", empty}, want: "process, root and linux"},
		{args: []string{"explain", "--bundle", noRoot}, want: "nowhere"},
		{args: []string{"explain", "--bundle", noPath}, want: "root.path is empty"},
		{args: []string{"explain", "--rootfs", bundle, "--memory", "80Q", "--", "sh"}, want: "80Q"},
		{args: []string{"explain", "--rootfs", bundle, "--cpus", "-1", "--", "sh"}, want: "-1"},
		{args: []string{"explain", "--rootfs", bundle, "--pids", "-1", "--", "sh"}, want: "-1"},
		{args: []string{"explain", "--rootfs", bundle, "--user", "root", "--", "sh"}, want: "root"},
		{args: []string{"explain", "--rootfs", bundle, "--user", "65536", "--", "sh"}, want: "has no id 65536: it has"},
		{args: []string{"explain", "--rootfs", bundle, "--user", "0:65536", "--", "sh"}, want: "has no id 65536: it has"},
		{args: []string{"explain", "--bundle", empty, "--rung", "chroot"}, want: "the bundle says itself"},
		{args: []string{"run", "--rootfs", bundle, "--rung", "hardned", "--", "sh"}, want: "--rung: rung \"hardned\" is none of"},
		{args: []string{"explain", "--rootfs", bundle, "--bind", "a:b", "--", "sh"}, want: "a:b"},
		{args: []string{"explain", "--rootfs", bundle, "--env", "A", "--", "sh"}, want: "\"A\""},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			want := exitUsage
			if c.args[0] == "run" || c.args[0] == "exec" {
				want = exitStarter
			}
			code, out, errs := call(t, c.args...)
			if code != want {
				t.Errorf("exit status %d, want %d", code, want)
			}
			if out != "" || strings.Count(errs, "\n") != 1 || !strings.HasPrefix(errs, "cellwall: ") || !strings.Contains(errs, c.want) {
				t.Errorf("stdout %q, stderr %q, want one line with %q", out, errs, c.want)
			}
			if strings.Contains(errs, "goroutine") {
				t.Errorf("a stack trace: %q", errs)
			}
		})
	}
}

func TestNeedsRoot(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("is root")
	}
	for _, command := range []string{"verify", "ladder", "bench", "compare --binary /bin/true /bin/true", "interfere --all", "probe --all", "exec web -- sh", "run --id x --rootfs / -- sh"} {
		t.Run(command, func(t *testing.T) {
			want := exitUsage
			if strings.HasSuffix(command, "-- sh") {
				want = exitStarter
			}
			code, out, errs := call(t, strings.Fields(command)...)
			if code != want || out != "" || !strings.HasSuffix(errs, ", which needs root: run it with sudo\n") {
				t.Errorf("exit status %d, stdout %q, stderr %q", code, out, errs)
			}
		})
	}
}

func TestRunWithoutRoot(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("is root")
	}
	for flag, want := range map[string]string{"--rung=chroot": "there are namespaces and hardened", "--rung=limits": "limits are a cgroup's", "--memory=80M": "need a cgroup", "--pids=3": "need a cgroup"} {
		code, _, errs := call(t, "run", flag, "--from-host", "sh", "--", "sh")
		if code != exitStarter || !strings.Contains(errs, want) {
			t.Errorf("%s: exit status %d, %q, want %q", flag, code, errs, want)
		}
	}
}

// TestNothingNamed: what would work on all of the host asks first.
func TestNothingNamed(t *testing.T) {
	for _, command := range []string{"probe", "interfere", "probe --for 1s", "interfere --samples 6"} {
		code, out, errs := call(t, strings.Fields(command)...)
		if code != exitUsage || out != "" || !strings.Contains(errs, "--all") {
			t.Errorf("%s: exit status %d, stdout %q, stderr %q, want the help", command, code, out, errs)
		}
	}
}

// TestCgroupOf: a process may be in another group of each hierarchy.
func TestCgroupOf(t *testing.T) {
	for _, controller := range []string{"cpu", "memory", "pids"} {
		root, err := cgroup.Mounted(controller)
		if err != nil {
			t.Logf("%s: %v", controller, err)
			continue
		}
		below, err := cgroupOf(os.Getpid(), root)
		if err != nil {
			t.Logf("%s: %v", controller, err)
			continue
		}
		raw, err := os.ReadFile(filepath.Join(root, below, "cgroup.procs"))
		if err != nil || !slices.Contains(strings.Fields(string(raw)), strconv.Itoa(os.Getpid())) {
			t.Errorf("%s: this process is not in %s below %s: %v", controller, below, root, err)
		}
	}
}

// TestUnlimitedWithoutRoot: a container that has no cgroup says so where its rung has limits, and is none where
// its bundle wants them.
func TestUnlimitedWithoutRoot(t *testing.T) {
	pids := int64(3)
	limited := &specs.Spec{Linux: &specs.Linux{Resources: &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: &pids}}}}
	free := &specs.Spec{Linux: &specs.Linux{}}
	for _, c := range []struct {
		flags containerFlags
		spec  *specs.Spec
		fails bool
		says  string
	}{
		{containerFlags{bundle: "b"}, limited, true, "--bundle b has linux.resources"},
		{containerFlags{bundle: "b"}, free, false, ""},
		{containerFlags{}, free, false, "nothing limits memory, CPU or tasks"},
		{containerFlags{rung: "namespaces"}, free, false, ""},
	} {
		var b strings.Builder
		err := unlimited(&b, &c.flags, c.spec)
		if err != nil {
			b.WriteString(err.Error())
		}
		if c.fails != (err != nil) || c.says == "" != (b.Len() == 0) || !strings.Contains(b.String(), c.says) {
			t.Errorf("%+v: %v, says %q, want %q", c.flags, err, b.String(), c.says)
		}
	}
}

// TestHostileBundle explains a bundle that is well formed and must not be made.
func TestHostileBundle(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "rootfs"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, config := range map[string]string{
		"needs a mount namespace": `{"process":{"args":["sh"],"cwd":"/"},"root":{"path":"rootfs"},"mounts":[{"destination":"/etc","type":"tmpfs"}],"linux":{}}`,
		"is not absolute":         `{"process":{"args":["sh"],"cwd":"x"},"root":{"path":"rootfs"},"linux":{}}`,
		"CAP_MOON":                `{"process":{"args":["sh"],"cwd":"/","capabilities":{"bounding":["CAP_MOON"]}},"root":{"path":"rootfs"},"linux":{}}`,
		"linux.seccomp":           `{"process":{"args":["sh"],"cwd":"/"},"root":{"path":"rootfs"},"linux":{"seccomp":{"defaultAction":"SCMP_ACT_MOON"}}}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o644); err != nil {
			t.Fatal(err)
		}
		code, _, errs := call(t, "explain", "--bundle", dir)
		if code == 0 || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, strings.TrimPrefix(name, "needs a ")) {
			t.Errorf("exit status %d, stderr %q, want one line with %q", code, errs, name)
		}
	}
}

// TestCleanLooksWithoutRoot: a lease that only root can read is nobody's to call dead.
func TestCleanLooksWithoutRoot(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("is root, who may read all")
	}
	parent := t.TempDir()
	name := lease.Prefix + "abcdefgpun"
	if lease.Of(name) == "" {
		t.Fatalf("%s is no name of a lease", name)
	}
	if dead, err := isDead(parent, name); !dead || err != nil {
		t.Errorf("a lease that is not there: %v, %v", dead, err)
	}
	if err := os.Mkdir(filepath.Join(parent, name), 0); err != nil {
		t.Fatal(err)
	}
	if dead, err := isDead(parent, name); dead || err != nil {
		t.Errorf("a lease that cannot be read: %v, %v", dead, err)
	}
	if left, err := findLeft(t.Context(), parent); err != nil || slices.ContainsFunc(left, func(l leftover) bool { return strings.Contains(l.path, name) }) {
		t.Errorf("%v, %v", left, err)
	}
	t.Setenv("XDG_RUNTIME_DIR", parent)
	code, out, errs := call(t, "clean", "--dry-run")
	if code != 0 || strings.Contains(out, "removed") || !strings.HasPrefix(errs, "cellwall: without root") || strings.Count(errs, "\n") != 1 {
		t.Errorf("exit status %d, %q, %q", code, out, errs)
	}
}

// TestCleanWithoutRoot: a user's cellwall run that was killed leaves its lease and the name of its container, and
// nobody else's leases are touched.
func TestCleanWithoutRoot(t *testing.T) {
	if os.Geteuid() == 0 {
		cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^TestCleanWithoutRoot$")
		cmd.Env = append(os.Environ(), "TMPDIR=/tmp")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
		return
	}
	home := t.TempDir()
	t.Setenv("XDG_RUNTIME_DIR", home)
	if code, out, errs := call(t, "clean"); code != 0 || out != "nothing was left\n" {
		t.Errorf("before anything has run: exit status %d, %q, %q", code, out, errs)
	}
	parent, err := leases()
	if err != nil {
		t.Fatal(err)
	}
	killed, err := lease.Take(parent)
	if err != nil {
		t.Fatal(err)
	}
	alive, err := lease.Take(parent)
	if err != nil {
		t.Fatal(err)
	}
	defer alive.Close() //nolint:errcheck // its parent goes with the test
	container := filepath.Join(parent, containersDir, "web")
	if err := errors.Join(killed.Close(), os.MkdirAll(filepath.Join(killed.Dir, "rootfs", "bin"), 0o700), os.MkdirAll(container, 0o700)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ flag, verb string }{{"--dry-run", "found"}, {"--dry-run=false", "removed"}} {
		code, out, errs := call(t, "clean", c.flag)
		want := fmt.Sprintf("%[1]s container %[2]s\n%[1]s directory %[3]s\n", c.verb, container, killed.Dir)
		if code != 0 || !strings.HasSuffix(out, want) || c.verb == "removed" && out != want || strings.Contains(out, alive.Name) || strings.Count(errs, "\n") != 1 {
			t.Errorf("%s: exit status %d, %q, %q, want %q", c.flag, code, out, errs, want)
		}
	}
	for path, there := range map[string]bool{killed.Dir: false, container: false, alive.Dir: true} {
		if _, err := os.Stat(path); (err == nil) != there {
			t.Errorf("%s: %v", path, err)
		}
	}
	if err := os.Chmod(parent, 0o777); err != nil {
		t.Fatal(err)
	}
	if code, out, errs := call(t, "clean"); code != exitInconclusive || out != "" || !strings.Contains(errs, parent+" is not a directory of this user's alone") {
		t.Errorf("others may write to it: exit status %d, %q, %q", code, out, errs)
	}
}

func TestUserAndEnvironment(t *testing.T) {
	for user, want := range map[string]specs.User{"1000": {UID: 1000, GID: 1000}, "1000:1000": {UID: 1000, GID: 1000}, "7:8": {UID: 7, GID: 8}, "0:5": {GID: 5}} {
		s := &specs.Spec{Process: &specs.Process{}, Linux: &specs.Linux{}}
		f := containerFlags{user: user}
		if err := f.setUser(s); err != nil || s.Process.User.UID != want.UID || s.Process.User.GID != want.GID {
			t.Errorf("--user %s: %+v, %v", user, s.Process.User, err)
		}
	}
	got, err := setEnv([]string{"PATH=/bin", "PATHS=x"}, []string{"A=1", "PATH=/opt", "A=2"})
	if want := []string{"PATHS=x", "PATH=/opt", "A=2"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

// TestBundlePaths: what a bundle binds by a relative path lies in it.
func TestBundlePaths(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "rootfs"), 0o755); err != nil {
		t.Fatal(err)
	}
	config := `{"process":{"args":["sh"],"cwd":"/"},"root":{"path":"rootfs"},"linux":{"namespaces":[{"type":"mount"}]},"mounts":[
		{"destination":"/a","source":"data","options":["bind"]},{"destination":"/b","source":"./data","options":["rbind"]},
		{"destination":"/c","source":"data","type":"tmpfs"}]}`
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	code, out, errs := call(t, "explain", "--bundle", dir)
	if data := filepath.Join(dir, "data"); code != 0 || strings.Count(out, "open "+data+"\n") != 2 {
		t.Errorf("exit status %d, %s\n%s\nwant %s opened twice", code, errs, out, data)
	}
}

// TestBareLooksInTheHost: at the rung that enters no root a program is looked for where the host has it.
func TestBareLooksInTheHost(t *testing.T) {
	t.Setenv("PATH", "/opt/here:/bin")
	code, out, errs := call(t, "explain", "--rung", "bare", "--rootfs", t.TempDir(), "--", "sh")
	if code != 0 || !strings.Contains(out, "execute /opt/here/sh") {
		t.Errorf("exit status %d, %s\n%s", code, errs, out)
	}
}

func TestExplainNeedsNoPrivilege(t *testing.T) {
	code, out, errs := call(t, "explain", "--rung", "hardened", "--rootfs", t.TempDir(), "--", "/bin/true")
	if code != 0 || errs != "" {
		t.Fatalf("exit status %d: %s", code, errs)
	}
	for _, want := range []string{"pivot_root . .", "mount proc on /proc", "load a seccomp filter", "execute /bin/true"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

func TestListAndDoctor(t *testing.T) {
	if code, out, errs := call(t, "list"); code != 0 || !strings.Contains(out, "process.signal-host") {
		t.Errorf("list: %d %q", code, errs)
	}
	if code, out, errs := call(t, "doctor"); code != 0 || !strings.Contains(out, "gates are open") || !strings.Contains(out, "vm: not tried: "+boots) {
		t.Errorf("doctor: %d %q", code, errs)
	}
}

func TestFold(t *testing.T) {
	const text = "no   a reason\n     of three long words\n     averyveryverylongword then\nyes  b\n"
	want := "no   a\n     reason\n     of\n     three\n     long\n     words\n     averyveryverylongword\n     then\nyes  b\n"
	if got := fold(text, 3, 5); got != want {
		t.Errorf("got\n%s, want\n%s", got, want)
	}
	if got := fold(text, 80, 5); got != text {
		t.Errorf("got\n%s", got)
	}
	_, out, _ := call(t, "doctor")
	for line := range strings.Lines(out) {
		if len(line) > 81 && strings.Contains(line[doctorColumn:80], " ") {
			t.Errorf("too long: %s", line)
		}
	}
}

func FuzzFold(f *testing.F) {
	f.Add("a  b c\n", 3)
	f.Fuzz(func(t *testing.T, text string, width int) {
		if got := fold(text, width%100, 4); strings.Join(strings.Fields(got), " ") != strings.Join(strings.Fields(text), " ") {
			t.Errorf("%q became %q", text, got)
		}
	})
}

// TestListShowsWholeRows: where attack and witness are is what a reader looks for.
func TestListShowsWholeRows(t *testing.T) {
	code, out, errs := call(t, "list", "-v", "fs.dotdot")
	if code != 0 || errs != "" {
		t.Fatalf("exit status %d: %s", code, errs)
	}
	for _, want := range []string{"fs.dotdot", "a container cannot", "source", "barrier", "attack", "suites/attack/fs.go:", "witness", "suites/sentinel/fs.go:", "control"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	for id, want := range map[string]string{"fs.dotdot": "runtime", "net.bandwidth": "kernel", "lifecycle.no-fd-growth": "harness"} {
		_, out, _ := call(t, "list", "-v", id)
		if !strings.Contains(strings.Join(strings.Fields(out), " "), " kept by "+want+" ") {
			t.Errorf("%s is not kept by %s:\n%s", id, want, out)
		}
	}
	if code, all, _ := call(t, "list", "fs.*"); code != 0 || strings.Contains(all, "pids.") || !strings.Contains(all, "fs.dotdot") {
		t.Errorf("exit status %d, %s", code, all)
	}
}

func TestOneLine(t *testing.T) {
	const said = "unknown command \"verfy\"\n\nDid you mean this?\n\tverify\n" // cobra's
	if got := oneLine(errors.New(said)); got != `unknown command "verfy"; Did you mean this?; verify` {
		t.Errorf("got %q", got)
	}
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{
		"83886080": 83886080, "80M": 80 << 20, "80m": 80 << 20, "80MiB": 80 << 20, "1.5G": 3 << 29, "1K": 1024, "7B": 7,
		"": 0, "M": 0, "-1": 0, "0": 0, "80MM": 0, "1e400": 0, "NaN": 0, "9000000T": 0, "8Q": 0, " 8": 0,
	} {
		got, err := parseSize(text)
		if got != want || (err != nil) != (want == 0) {
			t.Errorf("parseSize(%q) = %d, %v, want %d", text, got, err, want)
		}
	}
}

func FuzzParseSize(f *testing.F) {
	for _, s := range []string{"80M", "1.5G", "x", "1KMGT", "ı"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if n, err := parseSize(s); err == nil && n <= 0 {
			t.Errorf("parseSize(%q) = %d", s, n)
		}
	})
}

func FuzzReadBundle(f *testing.F) {
	f.Add([]byte(`{"process":{"args":["sh"],"cwd":"/"},"root":{"path":"."},"linux":{}}`))
	f.Add([]byte(`{"mounts":[{"source":"."}]}`))
	f.Fuzz(func(t *testing.T, config []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "config.json"), config, 0o644); err != nil {
			t.Fatal(err)
		}
		if s, err := readBundle(dir); err == nil && (s.Process == nil || s.Root == nil || s.Linux == nil) {
			t.Error("a bundle without process, root or linux was accepted")
		}
	})
}
