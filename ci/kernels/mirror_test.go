package kernels

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// bzImage is a file that says what a kernel says of itself.
func bzImage(release string) string {
	raw := make([]byte, 0x400)
	copy(raw[0x202:], "HdrS")
	binary.LittleEndian.PutUint16(raw[0x20e:], 0x100)
	copy(raw[0x300:], release+" (debian-kernel@lists.debian.org) #1 SMP\x00")
	return string(raw)
}

// pkg is a package of a mirror.
type pkg struct {
	name, version, depends string
	files                  map[string]string // name: text
	compression            string            // of dpkg-deb -Z; empty: xz
}

// kernelPackage has all of a kernel, as before 6.17.
func kernelPackage(release, version string) pkg {
	return pkg{name: "linux-image-" + release, version: version, depends: "kmod, linux-base (>= 4.3~)", files: map[string]string{
		"boot/vmlinuz-" + release:                                 bzImage(release),
		"boot/config-" + release:                                  "CONFIG_X=y\n",
		"lib/modules/" + release + "/kernel/drivers/virtio.ko":    "module of " + release,
		"lib/modules/" + release + "/modules.builtin":             "kernel/fs/proc.ko\n",
		"usr/share/doc/linux-image-" + release + "/changelog.txt": "news",
	}}
}

func metaPackage(release, version string) pkg {
	return pkg{name: "linux-image-cloud-amd64", version: version, depends: "linux-image-" + release + " (= " + version + ")"}
}

// mirror is a Debian mirror on the loopback interface.
type mirror struct {
	*httptest.Server
	dir     string
	keyring string
	signer  *signer
	sums    map[string]string // "NAME VERSION": SHA-256

	published int

	mu  sync.Mutex
	got []string                                      // paths that were asked for
	on  func(http.ResponseWriter, *http.Request) bool // takes a request for itself; may be nil
}

func newMirror(t testing.TB) *mirror {
	t.Helper()
	for _, program := range []string{"apt-get", "apt-cache", "dpkg-deb"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not on this host: it is Debian's", program)
		}
	}
	for _, name := range []string{"http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"} {
		t.Setenv(name, "")
	}
	m := &mirror{dir: t.TempDir(), keyring: filepath.Join(t.TempDir(), "keyring.gpg"), signer: newSigner(t), sums: map[string]string{}}
	if err := os.WriteFile(m.keyring, m.signer.keyring(), 0o644); err != nil {
		t.Fatal(err)
	}
	files := http.FileServer(http.Dir(m.dir))
	m.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.mu.Lock()
		m.got = append(m.got, r.URL.Path)
		on := m.on
		m.mu.Unlock()
		if on == nil || !on(w, r) {
			files.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(m.Close)
	return m
}

// asked counts the requests whose path holds a text.
func (m *mirror) asked(text string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, path := range m.got {
		if strings.Contains(path, text) {
			n++
		}
	}
	return n
}

func (m *mirror) catch(on func(http.ResponseWriter, *http.Request) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.on = on
}

// stall lets every package come to a halt: the first channel tells that it has, the second that whoever
// asked for it has gone.
func (m *mirror) stall() (stalled, left <-chan struct{}) {
	begun, ended := make(chan struct{}, 9), make(chan struct{}, 9)
	m.catch(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, ".deb") {
			return false
		}
		w.Header().Set("Content-Length", "1000000")
		_, _ = w.Write(make([]byte, 1000))
		w.(http.Flusher).Flush()
		begun <- struct{}{}
		<-r.Context().Done()
		ended <- struct{}{}
		return true
	})
	return begun, ended
}

// publish makes a suite of exactly these packages.
func (m *mirror) publish(t testing.TB, suite string, packages ...pkg) {
	t.Helper()
	var index bytes.Buffer
	for _, p := range packages {
		file := buildDeb(t, filepath.Join(m.dir, "pool"), p)
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		sum := fmt.Sprintf("%x", sha256.Sum256(raw))
		m.sums[p.name+" "+p.version] = sum
		fmt.Fprintf(&index, "Package: %s\nVersion: %s\nArchitecture: amd64\nMaintainer: Nobody <nobody@example.org>\n", p.name, p.version)
		if p.depends != "" {
			fmt.Fprintf(&index, "Depends: %s\n", p.depends)
		}
		fmt.Fprintf(&index, "Filename: pool/%s\nSize: %d\nSHA256: %s\nDescription: a test\n of a package\n\n", filepath.Base(file), len(raw), sum)
	}
	dist := filepath.Join(m.dir, "dists", suite)
	if err := os.MkdirAll(filepath.Join(dist, "main/binary-amd64"), 0o755); err != nil {
		t.Fatal(err)
	}
	release := fmt.Sprintf("Origin: Test\nLabel: edition %[4]d\nSuite: %[1]s\nCodename: %[1]s\nDate: Wed, 01 Jan 2020 00:00:00 UTC\nValid-Until: Thu, 02 Jan 2020 00:00:00 UTC\n"+
		"Architectures: amd64\nComponents: main\nSHA256:\n %[2]x %[3]d main/binary-amd64/Packages\n", suite, sha256.Sum256(index.Bytes()), index.Len(), m.published)
	for name, text := range map[string][]byte{"main/binary-amd64/Packages": index.Bytes(), "Release": []byte(release), "Release.gpg": m.signer.detached([]byte(release))} {
		path := filepath.Join(dist, name)
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
		// HTTP tells versions apart by the second.
		at := made.Add(time.Duration(m.published) * time.Minute)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	m.published++
}

func (m *mirror) deb(name, version string) Deb {
	return Deb{Package: name, Version: version, SHA256: m.sums[name+" "+version]}
}

// entry is one of a suite that nothing is pinned of.
func (m *mirror) entry(suite string, pin ...Deb) Entry {
	return Entry{
		Name: "debian-" + suite, Arch: "amd64", Suite: suite, Package: "linux-image-cloud-amd64", Pin: pin,
		Mirrors: []string{m.URL}, Keyring: m.keyring, File: "matrix.yaml", Line: 7,
	}
}

func buildDeb(t testing.TB, into string, p pkg) string {
	t.Helper()
	tree := t.TempDir()
	if err := os.Chmod(tree, 0o755); err != nil {
		t.Fatal(err)
	}
	files := maps.Clone(p.files)
	if files == nil {
		files = map[string]string{}
	}
	files["DEBIAN/control"] = fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: amd64\nMaintainer: Nobody <nobody@example.org>\nDescription: a test\n", p.name, p.version)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		path := filepath.Join(tree, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, ok := strings.CutPrefix(files[name], "-> "); ok {
			err = os.Symlink(target, path)
		} else {
			err = os.WriteFile(path, []byte(files[name]), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(into, 0o755); err != nil {
		t.Fatal(err)
	}
	deb := filepath.Join(into, p.name+"_"+strings.ReplaceAll(p.version, ":", "%3a")+"_amd64.deb")
	args := []string{"-Z" + orXZ(p.compression), "--root-owner-group", "--build", tree, deb}
	if out, err := exec.Command("dpkg-deb", args...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return deb
}

func orXZ(compression string) string {
	if compression == "" {
		return "xz"
	}
	return compression
}

// Mirror is a mirror with the suite bookworm, for tests of commands: what a matrix file begins with to use
// it, and how a kernel comes to be all that it has.
func Mirror(t testing.TB) (head string, publish func(release, version string)) {
	m := newMirror(t)
	return "mirrors: [" + m.URL + "]\nkeyring: " + m.keyring + "\n", func(release, version string) {
		m.publish(t, "bookworm", metaPackage(release, version), kernelPackage(release, version))
	}
}
