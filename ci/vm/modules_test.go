package vm

import (
	"bytes"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cellwall/ci/kernels"
)

func moduleBytes(info string) []byte {
	return elfBytes(elf.EM_X86_64, map[string]string{".modinfo": strings.ReplaceAll(info, "|", "\x00")})
}

// moduleTree makes a lib/modules/RELEASE.
func moduleTree(t *testing.T, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func packedWith(t *testing.T, program string, content []byte) []byte {
	t.Helper()
	cmd := exec.Command(program, "-c")
	cmd.Stdin = bytes.NewReader(content)
	out, err := cmd.Output()
	if err != nil {
		t.Skipf("%s: %v", program, err)
	}
	return out
}

func virtio() map[string][]byte {
	return map[string][]byte{
		"kernel/drivers/virtio/virtio.ko":                moduleBytes("license=GPL|depends=|name=virtio|"),
		"kernel/drivers/virtio/virtio_ring.ko":           moduleBytes("depends=virtio|"),
		"kernel/drivers/virtio/virtio_pci.ko":            moduleBytes("depends=virtio-ring,virtio,virtio_pci_modern_dev|"),
		"kernel/drivers/virtio/virtio_pci_modern_dev.ko": moduleBytes("depends=|"),
		"kernel/drivers/char/virtio_console.ko":          moduleBytes("depends=virtio,virtio_ring|"),
		"modules.builtin":                                []byte("kernel/fs/overlayfs/overlay.ko\n"),
	}
}

func names(list []module) (names []string) {
	for _, m := range list {
		names = append(names, m.file)
	}
	return names
}

func TestModulesInOrder(t *testing.T) {
	files := virtio()
	files["kernel/fs/ext4/ext4.ko"] = moduleBytes("depends=jbd2|softdep=pre: crc32c missing mbcache post: never|")
	files["kernel/fs/jbd2/jbd2.ko"] = moduleBytes("depends=ext4|") // a circle ends
	files["kernel/fs/mbcache.ko.gz"] = packedWith(t, "gzip", moduleBytes("depends=|"))
	files["kernel/crypto/crc32c_generic.ko"] = moduleBytes("depends=|alias=crc32c|")
	files["kernel/never.ko"] = moduleBytes("depends=|")
	files["kernel/af-packet.ko"] = moduleBytes("depends=|")
	g := Guest{Kernel: kernels.Kernel{Name: "k", Modules: moduleTree(t, files)}}
	list, notes, err := g.modules()
	want := []string{
		"virtio.ko", "virtio_ring.ko", "virtio_pci_modern_dev.ko", "virtio_pci.ko", "virtio_console.ko", "jbd2.ko", "crc32c_generic.ko", "mbcache.ko", "ext4.ko", "af-packet.ko",
	}
	if err != nil || !slices.Equal(names(list), want) {
		t.Errorf("got %q, %v", names(list), err)
	}
	if !slices.Contains(notes, "the kernel has no module bridge") || slices.Contains(notes, "the kernel has no module overlay") || slices.Contains(notes, "the kernel has no module ext4") {
		t.Errorf("notes %q", notes)
	}
}

func TestCompressedModules(t *testing.T) {
	for _, c := range []struct{ ext, program string }{{".gz", "gzip"}, {".xz", "xz"}, {".zst", "zstd"}} {
		t.Run(c.program, func(t *testing.T) {
			files := map[string][]byte{"modules.builtin": []byte("kernel/virtio_pci.ko\nkernel/virtio_console.ko\n")}
			for name, info := range map[string]string{"overlay": "depends=b,c|", "b": "depends=c|", "c": "depends=|"} {
				files["kernel/"+name+".ko"+c.ext] = packedWith(t, c.program, moduleBytes(info))
			}
			g := Guest{Kernel: kernels.Kernel{Name: "k", Modules: moduleTree(t, files)}}
			list, _, err := g.modules()
			if err != nil || !slices.Equal(names(list), []string{"c.ko", "b.ko", "overlay.ko"}) || !bytes.Equal(list[0].node.text, moduleBytes("depends=|")) {
				t.Errorf("%q, %v", names(list), err)
			}
			t.Setenv("PATH", t.TempDir())
			if _, _, err := g.modules(); err == nil || !strings.HasSuffix(err.Error(), ".ko"+c.ext+": "+c.program+" is not installed") {
				t.Errorf("without the program: %v", err)
			}
		})
	}
}

func TestModulesThatCannotBe(t *testing.T) {
	for want, change := range map[string]func(map[string][]byte){
		"module virtio_console: neither built in nor in":                    func(f map[string][]byte) { delete(f, "kernel/drivers/char/virtio_console.ko") },
		"module virtio_ring needs another: module virtio: neither built in": func(f map[string][]byte) { delete(f, "kernel/drivers/virtio/virtio.ko") },
		"module virtio: bad magic number":                                   func(f map[string][]byte) { f["kernel/drivers/virtio/virtio.ko"] = []byte("not a module, not a module") },
		"no section .modinfo":                                               func(f map[string][]byte) { f["kernel/drivers/virtio/virtio.ko"] = elfBytes(elf.EM_X86_64, nil) },
		"has neither modules nor":                                           func(f map[string][]byte) { clear(f) },
		"virtio.ko.gz: exit status 1: gzip: ": func(f map[string][]byte) {
			delete(f, "kernel/drivers/virtio/virtio.ko")
			f["kernel/drivers/virtio/virtio.ko.gz"] = []byte("not gzip")
		},
	} {
		files := virtio()
		change(files)
		if _, _, err := (Guest{Kernel: kernels.Kernel{Name: "k", Modules: moduleTree(t, files)}}).modules(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func FuzzReadModinfo(f *testing.F) {
	f.Add(moduleBytes("depends=a,b|softdep=pre: c post: d|"))
	f.Add(elfBytes(elf.EM_X86_64, nil))
	f.Fuzz(func(t *testing.T, content []byte) {
		info, err := readModinfo(bytes.NewReader(content))
		if err != nil {
			return
		}
		for _, name := range slices.Concat(info.needs, info.wishes) {
			if strings.ContainsAny(name, "\x00-") {
				t.Errorf("module %q", name)
			}
		}
	})
}
