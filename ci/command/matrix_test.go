package command

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"cellwall/ci/vm"
	"cellwall/reports/record"
	"cellwall/runtime/lease"
)

// kernelFile is a matrix file with two kernels for this machine's architecture, and one that is not pinned.
func kernelFile(t *testing.T) string {
	t.Helper()
	if runtime.GOARCH != "amd64" {
		t.Skip("the kernels of this test are for amd64")
	}
	dir, text := t.TempDir(), "kernels:\n"
	for i, release := range []string{"5.10.0-1", "7.0.1"} {
		raw := make([]byte, 0x400)
		copy(raw[0x202:], "HdrS")
		binary.LittleEndian.PutUint16(raw[0x20e:], 0x100)
		copy(raw[0x300:], release+" (x@y) #1")
		if err := os.WriteFile(filepath.Join(dir, release), raw, 0o644); err != nil {
			t.Fatal(err)
		}
		text += fmt.Sprintf("  - name: k-%d\n    arch: amd64\n    path: %s\n", i+1, release)
	}
	text += "  - name: gone\n    arch: amd64\n    suite: sid\n    package: linux-image-amd64\n"
	text += "  - name: else\n    arch: arm64\n    suite: sid\n    package: linux-image-arm64\n"
	file := filepath.Join(dir, "m.yaml")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// guestOf gives a verdict on fs.rro-submount for each runtime: held as the outcome for the kernel says.
func guestOf(outcomes map[string]record.Outcome) bootFunc {
	return func(_ context.Context, g vm.Guest) (vm.Result, error) {
		at := slices.Index(g.Command, "--runtime")
		runtimes := strings.Split(g.Command[at+1], ",")
		var b bytes.Buffer
		out := record.NewWriter(&b)
		err := out.Run(record.Run{ID: "r", Asked: len(runtimes)})
		for _, rt := range runtimes {
			err = errors.Join(err, out.Verdict(record.Verdict{
				Run: "r", Guarantee: "fs.rro-submount", Group: "fs", Claimed: true, Runtime: shortName(rt), Outcome: outcomes[g.Kernel.Name], Reason: "so it is",
			}))
		}
		if err == nil {
			_, err = g.Records.Write(b.Bytes())
		}
		return vm.Result{Accel: "tcg"}, err
	}
}

func callMatrix(t *testing.T, boot bootFunc, args ...string) (code int, out, errs string) {
	t.Helper()
	c := newMatrix(boot, func(int) int { return 1 })
	c.SilenceErrors, c.SilenceUsage = true, true
	var o, e bytes.Buffer
	c.SetArgs(args)
	c.SetOut(&o)
	c.SetErr(&e)
	err := c.ExecuteContext(t.Context())
	var coded coded
	switch {
	case errors.As(err, &coded):
		code = coded.code
	case err != nil:
		t.Fatal(err)
	}
	if err != nil {
		fmt.Fprintf(&e, "%s\n", oneLine(err))
	}
	return code, o.String(), e.String()
}

func TestMatrixMisuse(t *testing.T) {
	file := kernelFile(t)
	bad := filepath.Join(t.TempDir(), "e.yaml")
	if err := os.WriteFile(bad, []byte("runtime: core\ncgruop: v2\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	noQEMU := func(context.Context, vm.Guest) (vm.Result, error) {
		return vm.Result{}, fmt.Errorf("qemu-system-x86_64 is not installed: on Debian, apt install qemu-system-x86: %w", exec.ErrNotFound)
	}
	for _, c := range []struct{ args, want string }{
		{"--kernels k-*", "on Debian, apt install qemu-system-x86"},
		{"--kernels moon", `has no kernel "moon": it has k-1, k-2, gone, else`},
		{"", "kernel gone: not pinned to a version and a checksum: run `cellwall kernels fetch --pin gone`"},
		{"--kernels else", "else: this program is for amd64, and none of the kernels is"},
		{"--kernels k-1 --shard 0/2", `--shard "0/2" is no part: 2/4 is the second of four`},
		{"--kernels k-1 --shard 3/2", `--shard "3/2" is no part`},
		{"--kernels k-1 --shard two", `--shard "two" is no part`},
		{"--kernels k-1 --shard 1/2/3", `--shard "1/2/3" is no part`},
		{"--kernels k-1 --shard 2/2", "--shard 2/2 is empty: there are only 1 boots"},
		{"--kernels k-1 --at-once -1", "--at-once -1: want how many"},
		{"--kernels k-1 --cgroup v3", `--cgroup "v3" is none of v2, hybrid, v1`},
		{"--kernels k-1 --cgroup v2,v2", "v2 is there twice"},
		{"--kernels k-1 --only moon", `--only "moon" matches no guarantee`},
		{"--kernels k-1 --runtimes moon", `runtime "moon" is unknown`},
		{"--kernels k-1 --runtimes all", "a matrix takes runtimes by name"},
		{"--kernels k-1 --runtimes exec:x.yaml", "a matrix takes runtimes by name"},
		{"--kernels k-1 --runtimes vm=6.1", "a guest boots no guests"},
		{"--kernels k-1 --runtimes bwrap=/nosuch", "runtime bwrap=/nosuch is not on this host: install bubblewrap, or name its program: --runtimes bwrap=PATH"},
		{"--kernels k-1 --expected /nosuch", "--expected: open /nosuch"},
		{"--kernels k-1 --expected " + bad, "e.yaml:2: field cgruop not found"},
		{"--kernels k-1 --out " + bad, "--out: "},
	} {
		code, out, errs := callMatrix(t, noQEMU, append([]string{"--file", file}, strings.Fields(c.args)...)...)
		errs = errs[strings.LastIndex(strings.TrimRight(errs, "\n"), "\n")+1:]
		if code != exitUsage || out != "" || !strings.Contains(errs, c.want) {
			t.Errorf("%s: exit status %d, %q, %q, want %q", c.args, code, out, errs, c.want)
		}
	}
}

// TestNothingIsExpectedWithoutAFile: a file that is there and cannot be read is another matter.
func TestNothingIsExpectedWithoutAFile(t *testing.T) {
	t.Chdir(t.TempDir())
	f := matrixFlags{cgroups: []string{"v2"}}
	if _, err := f.check(); err != nil {
		t.Errorf("without a file: %v", err)
	}
	if err := os.Mkdir(filepath.Dir(expectedFile), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Base(expectedFile), expectedFile); err != nil { // a loop
		t.Fatal(err)
	}
	if _, err := f.check(); err == nil || !strings.Contains(err.Error(), expectedFile) {
		t.Errorf("with a loop in place of the file: %v", err)
	}
}

func TestMatrix(t *testing.T) {
	file := kernelFile(t)
	held, lacks := record.Held, record.Unsupported
	expected := filepath.Join("..", "expected.yaml")
	died := func(context.Context, vm.Guest) (vm.Result, error) {
		return vm.Result{Tail: []string{"BUG: moon"}}, &vm.BootError{Why: "panicked"}
	}
	for name, c := range map[string]struct {
		boot      bootFunc
		code      int
		out, errs string
	}{
		"as expected":    {guestOf(map[string]record.Outcome{"k-1": lacks, "k-2": held}), 0, "1 of 1 guarantees differ between kernels\n  fs.rro-submount: feature absent\n    - k-1: unsupported: so it is\n", "[2/2] k-2 with cgroup v2\n"},
		"held too early": {guestOf(map[string]record.Outcome{"k-1": held, "k-2": held}), exitBreached, "0 of 1", "surprise: fs.rro-submount on k-1 (5.10.0-1): expected held from 5.12 on only (mount_setattr(2)), seen held\n1 surprise: see above"},
		"not held":       {guestOf(map[string]record.Outcome{"k-1": lacks, "k-2": lacks}), exitBreached, "", "k-2 (7.0.1): expected held from 5.12 on (mount_setattr(2)), seen unsupported: so it is\n"},
		"breached":       {guestOf(map[string]record.Outcome{"k-1": record.Breached, "k-2": held}), exitBreached, "k-1: BREACHED: so it is", ""},
		"inconclusive":   {guestOf(map[string]record.Outcome{"k-1": record.Inconclusive, "k-2": held}), exitInconclusive, "", ""},
		"kernel failed":  {died, exitInconclusive, "core on k-1 with cgroup v2: kernel failed\n  panicked\n    BUG: moon\n", "2 of 2 cells have not booted: see above\n"},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, errs := callMatrix(t, c.boot, "--file", file, "--kernels", "k-*", "--expected", expected)
			if code != c.code || !strings.Contains(out, c.out) || !strings.Contains(errs, c.errs) {
				t.Errorf("exit status %d\n%s\n%s\nwant %d\n%s\n%s", code, out, errs, c.code, c.out, c.errs)
			}
		})
	}
}

// TestMatrixShards: what the shards have written is shown as one run shows it.
func TestMatrixShards(t *testing.T) {
	file, dir := kernelFile(t), t.TempDir()
	boot := guestOf(map[string]record.Outcome{"k-1": record.Unsupported, "k-2": record.Held})
	runtimes := "core"
	if _, err := exec.LookPath("chroot"); err == nil {
		runtimes += ",chroot" // which is carried in
	}
	flags := []string{"--file", file, "--kernels", "k-*", "--cgroup", "v2,v1", "--runtimes", runtimes}
	code, want, errs := callMatrix(t, boot, append(flags, "--out", filepath.Join(dir, "all"))...)
	if code != 0 {
		t.Fatalf("exit status %d, %s", code, errs)
	}
	args := []string{"report"}
	for i := range 3 {
		out := filepath.Join(dir, fmt.Sprint(i+1))
		if code, _, errs := callMatrix(t, boot, append(flags, "--shard", fmt.Sprintf("%d/3", i+1), "--out", out)...); code != 0 {
			t.Fatalf("exit status %d, %s", code, errs)
		}
		args = append(args, out)
	}
	for _, a := range [][]string{args, {"report", filepath.Join(dir, "all")}} {
		if code, out, errs := call(t, a...); code != 0 || out != want || errs != "" {
			t.Errorf("%v: exit status %d, %q\n%s\nwant\n%s", a, code, errs, out, want)
		}
	}
	whole, err := os.ReadFile(filepath.Join(dir, "all", matrixReport))
	if err != nil {
		t.Fatal(err)
	}
	if code, out, _ := call(t, append(args, "--format", "markdown")...); code != 0 || out != string(whole) {
		t.Errorf("exit status %d\n%s\nwant\n%s", code, out, whole)
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{args[:3], exitInconclusive, "of the matrix are in none of these files: name those of all shards"},
		{append(args, args[1]), exitUsage, "is in two of the files"},
		{append(args, "--format", "junit"), exitUsage, "--format junit: a matrix of kernels is written as text or markdown"},
		{append(args, filepath.Join(dir, "nosuch")), exitUsage, "nosuch: no such file"},
	} {
		if code, _, errs := call(t, c.args...); code != c.code || !strings.Contains(errs, c.want) {
			t.Errorf("%v: exit status %d, %q, want %d, %q", c.args, code, errs, c.code, c.want)
		}
	}
}

// TestMatrixCarries: a runtime is in the guest with its libraries, and verify is told where.
func TestMatrixCarries(t *testing.T) {
	file := kernelFile(t)
	program, err := exec.LookPath("unshare")
	if err != nil {
		t.Skip("unshare is not on this host")
	}
	copies := t.TempDir()
	t.Setenv("TMPDIR", copies)
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	var source string
	_, _, errs := callMatrix(t, func(_ context.Context, g vm.Guest) (vm.Result, error) {
		got := strings.Join(g.Command, " ")
		if want := "/cellwall verify --records 3 --runtime core,unshare=" + program + " --only fs.*"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		for _, want := range []string{"/unshare", "/setpriv", "/libc.so.6"} {
			i := slices.IndexFunc(g.Files, func(f vm.File) bool { return strings.HasSuffix(f.Path, want) && f.Target == "" })
			if i < 0 {
				t.Errorf("no %s in %v", want, g.Files)
				continue
			}
			source = g.Files[i].Source
			if _, err := os.Stat(source); err != nil {
				t.Error(err)
			}
		}
		return vm.Result{}, errors.New("that is all")
	}, "--file", file, "--kernels", "k-1", "--runtimes", "core,unshare", "--only", "fs.*")
	if left, err := os.ReadDir(copies); err != nil || len(left) > 0 {
		t.Errorf("%v: %v is left (%s)", err, left, errs)
	}
	parent, err := leases()
	if err != nil {
		t.Fatal(err)
	}
	// Where we are killed, cellwall clean finds the directory of a lease.
	name, _, _ := strings.Cut(strings.TrimPrefix(source, parent+"/"), "/")
	if _, err := os.Stat(filepath.Join(parent, name)); lease.Of(name) == "" || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is no lease below %s, or is left: %v", source, parent, err)
	}
}
