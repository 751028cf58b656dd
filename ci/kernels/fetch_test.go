package kernels

import (
	"errors"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const (
	oldRelease, oldVersion = "6.1.0-50-cloud-amd64", "6.1.176-1"
	newRelease, newVersion = "6.1.0-56-cloud-amd64", "6.1.192-2"
)

// one is a mirror with one kernel, an empty cache, and the entry that pins it.
func one(t *testing.T) (*mirror, *Cache, Entry) {
	t.Helper()
	m := newMirror(t)
	m.publish(t, "bookworm", metaPackage(oldRelease, oldVersion), kernelPackage(oldRelease, oldVersion))
	return m, &Cache{Dir: filepath.Join(t.TempDir(), "cache")}, m.entry("bookworm", m.deb("linux-image-"+oldRelease, oldVersion))
}

// names lists what is in the cache, beside what is always there.
func names(t *testing.T, c *Cache) []string {
	t.Helper()
	entries, err := os.ReadDir(c.Dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		if e.Name() != "lock" && e.Name() != "apt" {
			list = append(list, e.Name())
		}
	}
	return list
}

func TestFetch(t *testing.T) {
	m, c, e := one(t)
	var steps []Step
	k, err := c.Fetch(t.Context(), e, func(s Step) { steps = append(steps, s) })
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(c.Dir, key(e))
	want := Kernel{Name: "debian-bookworm", Release: oldRelease, Arch: "amd64", Image: filepath.Join(dir, "boot/vmlinuz-"+oldRelease), Modules: filepath.Join(dir, "lib/modules/"+oldRelease)}
	if k != want {
		t.Errorf("got %+v, want %+v", k, want)
	}
	if text, err := os.ReadFile(k.Image); err != nil || string(text) != bzImage(oldRelease) {
		t.Errorf("the image is another: %v", err)
	}
	if text, err := os.ReadFile(filepath.Join(k.Modules, "kernel/drivers/virtio.ko")); err != nil || string(text) != "module of "+oldRelease {
		t.Errorf("the module is another: %v", err)
	}
	var files []string
	err = fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if !d.IsDir() {
			files = append(files, path)
		}
		return err
	})
	if want := []string{"boot/vmlinuz-" + oldRelease, "kernel.json", "lib/modules/" + oldRelease + "/kernel/drivers/virtio.ko", "lib/modules/" + oldRelease + "/modules.builtin"}; err != nil || !slices.Equal(files, want) {
		t.Errorf("got %v, want %v: %v", files, want, err)
	}
	if got := names(t, c); !slices.Equal(got, []string{key(e)}) {
		t.Errorf("the cache holds %v", got)
	}
	last := steps[len(steps)-1]
	if i := slices.IndexFunc(steps, func(s Step) bool { return s.Phase == "fetch linux-image-"+oldRelease }); i < 0 || last.Phase != "unpack" {
		t.Errorf("told %v", steps)
	}

	// Without a network and without the lock, the cache is enough.
	before := m.asked("")
	m.Close()
	t.Setenv("PATH", t.TempDir())
	if k, err := c.Fetch(t.Context(), e, nil); err != nil || k != want {
		t.Errorf("offline: %+v, %v", k, err)
	}
	if m.asked("") != before {
		t.Error("the mirror was asked again")
	}
	// Another entry of the same packages is the same kernel.
	e.Name = "other"
	if k, err := c.Load(e); err != nil || k.Name != "other" || k.Image != want.Image {
		t.Errorf("%+v, %v", k, err)
	}
}

// TestProgress: the bytes are those that apt tells while it fetches a package.
func TestProgress(t *testing.T) {
	m := newMirror(t)
	p := kernelPackage(oldRelease, oldVersion)
	p.compression = "none"
	p.files["lib/modules/"+oldRelease+"/big.ko"] = strings.Repeat("x", 8<<20)
	m.publish(t, "bookworm", p)
	half := make(chan struct{})
	m.catch(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, ".deb") {
			return false
		}
		raw, err := os.ReadFile(filepath.Join(m.dir, r.URL.Path))
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(raw)))
		_, _ = w.Write(raw[:len(raw)/2])
		w.(http.Flusher).Flush()
		<-half // until the half was told
		_, _ = w.Write(raw[len(raw)/2:])
		return true
	})
	var once sync.Once
	var most Step
	e := m.entry("bookworm", m.deb("linux-image-"+oldRelease, oldVersion))
	_, err := (&Cache{Dir: t.TempDir()}).Fetch(t.Context(), e, func(s Step) {
		if s.Done > most.Done {
			most = s
		}
		if s.Done > 1<<20 {
			once.Do(func() { close(half) })
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if most.Phase != "fetch linux-image-"+oldRelease || most.Total < 8<<20 || most.Done > most.Total {
		t.Errorf("told %+v", most)
	}
}

// TestFetchRefuses: nothing of what is refused is in the cache afterwards.
func TestFetchRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(t *testing.T, m *mirror, e *Entry)
		want string
	}{
		{"unpinned", func(_ *testing.T, _ *mirror, e *Entry) { e.Pin = nil }, "matrix.yaml:7: kernel debian-bookworm: not pinned to a version and a checksum: run `cellwall kernels fetch --pin debian-bookworm`"},
		{"another checksum in the index", func(_ *testing.T, _ *mirror, e *Entry) { e.Pin[0].SHA256 = strings.Repeat("0", 64) }, "and the pin says " + strings.Repeat("0", 64) + ": one of them is wrong"},
		{"another file than in the index", func(t *testing.T, m *mirror, _ *Entry) {
			path := filepath.Join(m.dir, "pool/linux-image-"+oldRelease+"_"+oldVersion+"_amd64.deb")
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			raw[len(raw)-1]++
			if err := os.WriteFile(path, raw, 0o644); err != nil {
				t.Fatal(err)
			}
		}, "Hash Sum mismatch"},
		{"signed by somebody else", func(t *testing.T, m *mirror, _ *Entry) {
			if err := os.WriteFile(m.keyring, newSigner(t).keyring(), 0o644); err != nil {
				t.Fatal(err)
			}
		}, "is not signed"},
		{"not signed", func(t *testing.T, m *mirror, _ *Entry) {
			if err := os.Remove(filepath.Join(m.dir, "dists/bookworm/Release.gpg")); err != nil {
				t.Fatal(err)
			}
		}, "is not signed"},
		{"no keyring", func(_ *testing.T, _ *mirror, e *Entry) { e.Keyring = "/nosuch/keyring.gpg" }, "/nosuch/keyring.gpg: no such file or directory: install debian-archive-keyring, or name a keyring in matrix.yaml"},
		{"no such suite", func(_ *testing.T, _ *mirror, e *Entry) { e.Suite = "moon" }, "does not have a Release file.: is the suite still there?"},
		{"the mirror does not answer", func(_ *testing.T, m *mirror, _ *Entry) { m.Close() }, "read the index of bookworm from http://127.0.0.1"},
		{"gone", func(t *testing.T, m *mirror, _ *Entry) {
			m.publish(t, "bookworm", metaPackage(newRelease, newVersion), kernelPackage(newRelease, newVersion), metaPackage(oldRelease, "6.1.150-1"))
		}, "linux-image-6.1.0-50-cloud-amd64 6.1.176-1 is not in suite bookworm of http://127.0.0.1"},
		{"gone with something near", func(t *testing.T, m *mirror, _ *Entry) {
			m.publish(t, "bookworm", metaPackage("9.0", "9.0-1"), metaPackage(newRelease, newVersion), metaPackage(oldRelease, "6.1.150-1"))
		}, "any more; the nearest is linux-image-cloud-amd64 6.1.192-2: pin it with `cellwall kernels fetch --repin debian-bookworm`, or add a mirror that keeps old versions"},
		{"gone with all older", func(t *testing.T, m *mirror, _ *Entry) {
			m.publish(t, "bookworm", metaPackage(oldRelease, "6.1.150-1"), metaPackage(oldRelease, "6.1.99-1"))
		}, "the nearest is linux-image-cloud-amd64 6.1.150-1:"},
		{"gone with nothing left", func(t *testing.T, m *mirror, _ *Entry) { m.publish(t, "bookworm") }, "any more; and nothing that is near"},
		{"no kernel in it", func(t *testing.T, m *mirror, e *Entry) {
			m.publish(t, "bookworm", pkg{name: "linux-image-x", version: "1", files: map[string]string{"boot/config-1": ""}})
			e.Pin = []Deb{m.deb("linux-image-x", "1")}
		}, "linux-image-x 1 hold 0 kernels, not one"},
		{"another kernel than its name", func(t *testing.T, m *mirror, e *Entry) {
			m.publish(t, "bookworm", pkg{name: "linux-image-x", version: "1", files: map[string]string{"boot/vmlinuz-1": bzImage("2")}})
			e.Pin = []Deb{m.deb("linux-image-x", "1")}
		}, "vmlinuz-1 says that it is 2"},
		{"modules of another", func(t *testing.T, m *mirror, e *Entry) {
			m.publish(t, "bookworm", pkg{name: "linux-image-x", version: "1", files: map[string]string{"boot/vmlinuz-1": bzImage("1"), "lib/modules/2/a.ko": "a"}})
			e.Pin = []Deb{m.deb("linux-image-x", "1")}
		}, "hold kernel 1 and modules of 2"},
		{"for another machine", func(_ *testing.T, m *mirror, e *Entry) {
			m.publish(t, "bookworm", pkg{name: "linux-image-x", version: "1", files: map[string]string{"boot/vmlinuz-1": strings.Repeat("\x00", 0x38) + "ARM\x64Linux version 1 x"}})
			e.Pin = []Deb{m.deb("linux-image-x", "1")}
		}, "vmlinuz-1 is for arm64, and the entry says amd64"},
		{"apt gives another file", func(t *testing.T, _ *mirror, _ *Entry) {
			real, err := exec.LookPath("apt-get")
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			text := "#!/bin/sh\ncase \"$*\" in *download*) echo other >linux.deb;; *) exec " + real + " \"$@\";; esac\n"
			if err := os.WriteFile(filepath.Join(dir, "apt-get"), []byte(text), 0o755); err != nil {
				t.Fatal(err)
			}
			t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
		}, ": it is not taken"},
		{"no apt", func(t *testing.T, _ *mirror, _ *Entry) { t.Setenv("PATH", t.TempDir()) }, "is not on this host: packages are got with Debian's apt"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, cache, e := one(t)
			c.edit(t, m, &e)
			_, err := cache.Fetch(t.Context(), e, nil)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") || !strings.HasPrefix(err.Error(), "matrix.yaml:7: kernel debian-bookworm: ") {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
			if !missing(cache.Dir) {
				if got := names(t, cache); len(got) > 0 {
					t.Errorf("the cache holds %v", got)
				}
			}
		})
	}
}

// TestFetchReadsTheIndexAgain: an index that does not lead to the package is old.
func TestFetchReadsTheIndexAgain(t *testing.T) {
	m, c, e := one(t)
	if _, err := c.Fetch(t.Context(), e, nil); err != nil {
		t.Fatal(err)
	}
	if n := m.asked("Packages"); n != 1 {
		t.Fatalf("the index was asked for %d times", n)
	}
	m.publish(t, "bookworm", kernelPackage(newRelease, newVersion), kernelPackage(oldRelease, oldVersion))
	e.Pin = []Deb{m.deb("linux-image-"+newRelease, newVersion)}
	if k, err := c.Fetch(t.Context(), e, nil); err != nil || k.Release != newRelease {
		t.Fatalf("%+v, %v", k, err)
	}
	if n := m.asked("Packages"); n != 2 {
		t.Errorf("the index was asked for %d times", n)
	}
}

// TestSecondMirror: what one mirror has no more, another keeps.
func TestSecondMirror(t *testing.T) {
	m, c, e := one(t)
	snapshot := newMirror(t)
	snapshot.publish(t, "bookworm", kernelPackage(oldRelease, oldVersion))
	e.Pin = []Deb{snapshot.deb("linux-image-"+oldRelease, oldVersion)}
	m.publish(t, "bookworm", kernelPackage(newRelease, newVersion))
	e.Mirrors = append(e.Mirrors, snapshot.URL)
	// Both keys are known, as both of Debian's archives are signed by one.
	ring := slices.Concat(m.signer.keyring(), snapshot.signer.keyring())
	if err := os.WriteFile(e.Keyring, ring, 0o644); err != nil {
		t.Fatal(err)
	}
	if k, err := c.Fetch(t.Context(), e, nil); err != nil || k.Release != oldRelease {
		t.Errorf("%+v, %v", k, err)
	}
}

// TestDamage: whatever is wrong in the cache is noticed before it is used, and mended.
func TestDamage(t *testing.T) {
	m, c, e := one(t)
	k, err := c.Fetch(t.Context(), e, nil)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(c.Dir, key(e))
	for _, d := range []struct {
		name  string
		spoil func() error
		want  string
	}{
		{"another byte in the image", func() error {
			return os.WriteFile(k.Image, []byte(strings.Replace(bzImage(oldRelease), "SMP", "UP ", 1)), 0o644)
		}, "boot/vmlinuz-" + oldRelease + " has the checksum"},
		{"no image", func() error { return os.Remove(k.Image) }, "no such file"},
		{"a module less", func() error { return os.Remove(filepath.Join(k.Modules, "modules.builtin")) }, "1 module files with"},
		{"a module cut short", func() error { return os.Truncate(filepath.Join(k.Modules, "kernel/drivers/virtio.ko"), 3) }, "2 module files with"},
		{"no modules", func() error { return os.RemoveAll(k.Modules) }, "0 module files with"},
		{"no manifest", func() error { return os.Remove(filepath.Join(dir, manifestName)) }, "kernel.json: no such file"},
		{"half a manifest", func() error { return os.Truncate(filepath.Join(dir, manifestName), 20) }, "kernel.json: unexpected end of JSON input"},
		{"a manifest that leads elsewhere", func() error {
			return os.WriteFile(filepath.Join(dir, manifestName), []byte(`{"schema":"cellwall-kernel/1","release":"../../x"}`), 0o644)
		}, "kernel.json is not ours"},
		{"the manifest of another", func() error {
			return os.WriteFile(filepath.Join(dir, manifestName), []byte(`{"schema":"cellwall-kernel/1","arch":"amd64","release":"1","debs":[]}`), 0o644)
		}, "kernel.json is that of another kernel"},
		{"nothing at all", func() error { return errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o755)) }, "damaged"},
	} {
		t.Run(d.name, func(t *testing.T) {
			if err := d.spoil(); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Load(e); err == nil || !strings.Contains(err.Error(), d.want) || !strings.Contains(err.Error(), "is damaged") || errors.Is(err, ErrAbsent) {
				t.Errorf("got %v, want %s", err, d.want)
			}
			if s := c.List([]Entry{e})[0]; s.Cached || s.Err == nil {
				t.Errorf("listed as %+v", s)
			}
			told := false
			got, err := c.Fetch(t.Context(), e, func(s Step) { told = told || strings.Contains(s.Phase, "damaged") })
			if err != nil || got != k || !told {
				t.Errorf("%+v, %v, told %t", got, err, told)
			}
		})
	}
	if n := m.asked("Packages"); n != 1 {
		t.Errorf("the index was asked for %d times", n)
	}
	// Without a network both things are said.
	m.Close()
	if err := os.Remove(k.Image); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Fetch(t.Context(), e, nil); err == nil || strings.Count(err.Error(), "matrix.yaml:7") != 1 || !strings.Contains(err.Error(), "is damaged: ") || !strings.Contains(err.Error(), "no such file or directory, and cannot be fetched again: read the index of bookworm from http://127.0.0.1") {
		t.Errorf("got %v", err)
	}
}

// TestFileMirror: a mirror may be a directory.
func TestFileMirror(t *testing.T) {
	m, c, e := one(t)
	e.Mirrors = []string{"file:" + m.dir}
	if k, err := c.Fetch(t.Context(), e, nil); err != nil || k.Release != oldRelease || m.asked("") > 0 {
		t.Errorf("%+v, %v, and %d requests", k, err, m.asked(""))
	}
}

// TestTwoAtOnce: whoever comes second waits, and finds what the first has fetched.
// TestInterrupted: nothing half-written stays.
// TestKilled: apt ends with us, whoever comes next cleans up and is not locked out.
// TestLockIsLeft: who waits for another can be stopped, and does not hold the lock afterwards.
// chain is a kernel in n packages, each of which needs the next.
// TestSplitKernel: the pieces of one kernel come together from several packages, below /usr and not.
