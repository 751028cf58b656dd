package kernels

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestAptIsPrivate asks apt itself which files it would use: none that it writes is the host's, nor is any
// configuration.
func TestAptIsPrivate(t *testing.T) {
	program, err := exec.LookPath("apt-config")
	if err != nil {
		t.Skip("apt-config is not on this host: it is Debian's")
	}
	keyring := filepath.Join(t.TempDir(), "k.gpg")
	if err := os.WriteFile(keyring, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	c := &Cache{Dir: t.TempDir()}
	a, err := c.apt(Entry{Suite: "sid", Arch: "arm64", Mirrors: []string{"http://a/b", "file:/c"}, Keyring: keyring})
	if err != nil {
		t.Fatal(err)
	}
	sources, err := os.ReadFile(filepath.Join(a.dir, "etc/sources.list"))
	if want := "deb [arch=arm64 signed-by=" + keyring + "] http://a/b sid main\ndeb [arch=arm64 signed-by=" + keyring + "] file:/c sid main\n"; err != nil || string(sources) != want {
		t.Errorf("%q, %v", sources, err)
	}
	args := []string{"shell"}
	for _, name := range []string{
		"Dir::State/d", "Dir::State::lists/d", "Dir::State::status/f", "Dir::State::extended_states/f", "Dir::Cache/d", "Dir::Cache::archives/d", "Dir::Cache::pkgcache/f",
		"Dir::Etc/d", "Dir::Etc::main/f", "Dir::Etc::parts/d", "Dir::Etc::sourcelist/f", "Dir::Etc::sourceparts/d", "Dir::Etc::preferences/f", "Dir::Etc::preferencesparts/d", "Dir::Etc::trusted/f",
		"Dir::Etc::trustedparts/d", "Dir::Etc::netrc/f", "Dir::Etc::netrcparts/d", "Dir::Log/d", "Dir::Log::Terminal/f", "Dir::Log::History/f",
	} {
		args = append(args, "V"+strings.Map(letters, name), name)
	}
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "APT_CONFIG="+filepath.Join(a.dir, "apt.conf"))
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(out)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		if n++; !strings.HasPrefix(strings.Trim(value, "'"), a.dir+"/") {
			t.Errorf("%s is %s", name, value)
		}
	}
	if n != (len(args)-1)/2 {
		t.Errorf("apt told %d of %d:\n%s", n, len(args)/2, out)
	}
	if _, err := (&Cache{Dir: "/a\"b"}).apt(Entry{Keyring: keyring}); err == nil || !strings.Contains(err.Error(), "choose another directory") {
		t.Errorf("got %v", err)
	}
}

func letters(r rune) rune {
	if r == ':' || r == '/' {
		return '_'
	}
	return r
}

func TestReadStatus(t *testing.T) {
	var got []float64
	readStatus(strings.NewReader("dlstatus:1:20.5:Retrieving: a\npmstatus:x:30:y\ndlstatus:1:x:y\ndlstatus:1:-1:y\ndlstatus:1:101:y\nNaN\ndlstatus:1:NaN:y\ndlstatus:2:100:b\n"), func(p float64) { got = append(got, p) })
	if len(got) != 2 || got[0] != 20.5 || got[1] != 100 {
		t.Errorf("got %v", got)
	}
}

func TestSaidBy(t *testing.T) {
	failed := &exec.Error{Name: "apt-get", Err: os.ErrInvalid}
	for stderr, want := range map[string]string{
		"W: x\nE: Failed to fetch http://a  Temporary failure resolving 'a'\nE: Some index files": "Failed to fetch http://a  Temporary failure resolving 'a': is there a network? What has been fetched once needs none",
		"E: The repository 'a' is not signed.":                                                    "The repository 'a' is not signed.: the keyring does not know who signs this suite; install a newer debian-archive-keyring",
		"E: The repository 'a' does not have a Release file.":                                     "The repository 'a' does not have a Release file.: is the suite still there? Old ones move to http://archive.debian.org/debian",
		"E: something else\n": "something else",
		"killed\n":            `apt-get: exec: "apt-get": invalid argument: "killed\n"`,
	} {
		if err := saidBy("apt-get", stderr, failed); err.Error() != want {
			t.Errorf("got  %s\nwant %s", err, want)
		}
	}
}
