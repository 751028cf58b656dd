package command

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"cellwall/ci/vm"
	"cellwall/reports/record"
	"cellwall/reports/render"
	"cellwall/runtime/cleanup"
	"cellwall/runtime/driver"
	"cellwall/runtime/lease"
	"cellwall/runtime/rootfs"
)

// matrixReport is the report in --out.
const matrixReport = "matrix.md"

// carried are runtimes of this host, and what they need to start in a guest.
type carried struct {
	names  []string // as verdicts call them
	inside []string // as verify in the guest finds them
	files  []vm.File
	undo   cleanup.Stack
}

// carry copies runtimes and their libraries, into the directory of a lease.
func carry(list []string) (_ *carried, err error) {
	for _, name := range list {
		if name == everyRuntime || strings.HasPrefix(name, driver.ExecPrefix) {
			return nil, misuse("--runtimes %s: a matrix takes runtimes by name: %s, NAME=PATH or oci:PATH", name, strings.Join(driver.Names(), ", "))
		}
		if driver.Kind(shortName(name)) == driver.VMName {
			return nil, misuse("--runtimes %s: a guest boots no guests: cellwall verify --runtime %s does, on this host", name, name)
		}
	}
	if err := checkRuntimes(list); err != nil {
		return nil, err
	}
	r := &carried{}
	var programs []string
	for _, name := range list {
		short, program, named := strings.Cut(name, "=")
		own, isOCI := strings.CutPrefix(name, "oci:")
		switch {
		case isOCI:
			program = own
		case !named:
			program = short
		}
		r.names, r.inside = append(r.names, shortName(name)), append(r.inside, name)
		if name == driver.CoreName {
			continue
		}
		path, err := exec.LookPath(program)
		if err == nil {
			path, err = filepath.Abs(path)
		}
		if err != nil {
			return nil, misuse("runtime %s is not on this host: install %s, or name its program: --runtimes %s=PATH", name, packageOf(short), short)
		}
		programs = append(programs, path)
		if !isOCI {
			r.inside[len(r.inside)-1] = short + "=" + path
		}
		programs = append(programs, driver.Aids(short)...)
	}
	if len(programs) == 0 {
		return r, nil
	}
	parent, err := leases()
	if err != nil {
		return nil, done(err)
	}
	held, err := lease.Take(parent)
	if err != nil {
		return nil, done(err)
	}
	r.undo.Push("give back the lease", held.Close)
	root, err := rootfs.FromHost(held.Dir, programs...)
	if err != nil {
		return nil, errors.Join(misuse("--runtimes: %w", err), r.Close())
	}
	r.undo.Push("remove the copies", root.Close)
	for _, f := range root.Files {
		file := vm.File{Path: f.Path, Target: f.Target}
		if f.Target == "" {
			file.Source = filepath.Join(root.Path(), f.Path)
		}
		r.files = append(r.files, file)
	}
	return r, nil
}

// Close removes the copies.
func (r *carried) Close() error { return r.undo.Close() }

// openMatrix returns where the records of a matrix go: into --out, or into a file without a name.
func openMatrix(dir string) (*os.File, error) {
	if dir == "" {
		f, err := os.CreateTemp("", "cellwall-matrix-")
		if err != nil {
			return nil, done(err)
		}
		return f, os.Remove(f.Name())
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, misuse("make --out: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, recordsFile), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return nil, misuse("--out: %w", err)
	}
	return f, nil
}

// writeMatrix writes text, and with a directory the report into it.
func writeMatrix(out io.Writer, m record.Matrix, dir string) error {
	var f outputFlags
	if err := render.MatrixText(out, m, f.text(out)); err != nil || dir == "" {
		return err
	}
	write := func(w io.Writer, _ render.Report) error { return render.MatrixMarkdown(w, m) }
	return writeFile(filepath.Join(dir, matrixReport), render.Report{}, write)
}

// reportMatrix writes stored records of a matrix, each set that of one shard.
func (f *outputFlags) reportMatrix(out io.Writer, sets []record.Set) error {
	m, err := record.Merge(sets...)
	if err != nil {
		return misuse("%w", err)
	}
	for _, name := range f.format {
		switch {
		case name == "text":
			err = render.MatrixText(out, m, f.text(out))
		case name == "markdown" && f.out == "":
			err = render.MatrixMarkdown(out, m)
		case name == "markdown":
			err = writeFile(filepath.Join(f.out, matrixReport), render.Report{}, func(w io.Writer, _ render.Report) error { return render.MatrixMarkdown(w, m) })
		default:
			return misuse("--format %s: a matrix of kernels is written as text or markdown", name)
		}
		if err != nil {
			return done(err)
		}
	}
	if missing := m.Of - len(m.Cells); missing > 0 {
		return done(fmt.Errorf("%s of the matrix are in none of these files: name those of all shards", count(missing, "cell")))
	}
	return nil
}
