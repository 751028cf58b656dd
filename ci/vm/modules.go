package vm

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// The port to the outside is on the PCI bus.
var needed = []string{"virtio_pci", "virtio_console"}

// usual are the modules that attacks, runtimes and benches come to need. A guest has no modprobe,
// so that what a kernel would load on demand is loaded in advance.
var usual = []string{
	"overlay", "loop", "ext4", // images and layers
	"bfq",                       // io.weight
	"veth", "bridge", "sch_tbf", // links and their bandwidth
	"nf_tables",                                // firewalls
	"af_packet", "vsock", "af_alg", "tcp_diag", // sockets; tcp_diag lists those of TCP, which inet_diag alone does not
}

// forContainers are those of usual that a container's program can come to need, which has no file systems of its own to
// mount and no links.
var forContainers = []string{"af_packet", "vsock", "af_alg"}

// aliases are the names by which modules ask for one that has another name.
var aliases = map[string]string{"crc32c": "crc32c_generic"}

// module is one that goes into the guest.
type module struct {
	file string // base name there
	node node
}

// modules returns the modules for a guest in the order to load them, and notes about those that
// its kernel has not.
func (g Guest) modules() (list []module, notes []string, err error) {
	if g.Kernel.Modules == "" {
		return nil, nil, nil
	}
	m, err := readModules(g.Kernel.Modules)
	if err != nil {
		return nil, nil, fmt.Errorf("kernel %s: %w", g.Kernel.Name, err)
	}
	for _, name := range needed {
		if err := m.add(name); err != nil {
			return nil, nil, fmt.Errorf("kernel %s: %w", g.Kernel.Name, err)
		}
	}
	wished := usual
	if g.Container != nil {
		wished = forContainers
	}
	for _, name := range wished {
		err := m.add(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			notes = append(notes, "the kernel has no module "+name)
		case err != nil:
			return nil, nil, fmt.Errorf("kernel %s: %w", g.Kernel.Name, err)
		}
	}
	return m.list, notes, nil
}

// modules resolves names to files of a lib/modules/RELEASE directory.
type modules struct {
	dir     string
	files   map[string]string // path below dir, by name
	builtin map[string]bool   // by name
	done    map[string]bool
	list    []module
}

// moduleName is the name of the module in a file: lsmod's, in which '-' is '_'.
func moduleName(file string) string {
	name, _, _ := strings.Cut(path.Base(file), ".ko")
	return strings.ReplaceAll(name, "-", "_")
}

func readModules(dir string) (*modules, error) {
	m := &modules{dir: dir, files: map[string]string{}, builtin: map[string]bool{}, done: map[string]bool{}}
	err := fs.WalkDir(os.DirFS(dir), ".", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := path.Base(file)
		switch stem, ext, _ := strings.Cut(base, ".ko"); {
		case !d.Type().IsRegular() || stem == base:
		case ext == "" || unpackers[ext] != "":
			m.files[moduleName(file)] = file
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read modules: %w", err)
	}
	builtin, err := os.ReadFile(filepath.Join(dir, "modules.builtin"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read modules: %w", err)
	}
	for file := range strings.FieldsSeq(string(builtin)) {
		m.builtin[moduleName(file)] = true
	}
	if len(m.files)+len(m.builtin) == 0 {
		return nil, fmt.Errorf("read modules: %s has neither modules nor a list of those built in", dir)
	}
	return m, nil
}

// add appends a module after those that it needs.
func (m *modules) add(name string) error {
	name = moduleName(name)
	if m.done[name] || m.builtin[name] {
		return nil
	}
	file, ok := m.files[name]
	if !ok {
		return fmt.Errorf("module %s: neither built in nor in %s%w", name, m.dir, silent{fs.ErrNotExist})
	}
	m.done[name] = true // before the others: so a circle, which the kernel would not load anyway, ends
	found, info, err := readModule(filepath.Join(m.dir, file))
	if err != nil {
		return fmt.Errorf("module %s: %w", name, err)
	}
	for _, need := range info.needs {
		if err := m.add(need); err != nil {
			return fmt.Errorf("module %s needs another: %w", name, err)
		}
	}
	for _, wish := range info.wishes {
		if err := m.add(cmp.Or(aliases[wish], wish)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("module %s wishes for another: %w", name, err)
		}
	}
	m.list = append(m.list, found)
	return nil
}
