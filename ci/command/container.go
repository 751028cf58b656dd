package command

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/spf13/cobra"

	"cellwall/runtime/cleanup"
	"cellwall/runtime/kernel"
	"cellwall/runtime/rootfs"
	"cellwall/runtime/spec"
)

// containerFlags describe a container by hand: run and explain share them.
type containerFlags struct {
	rung     string
	rootfs   string
	fromHost []string
	image    string
	bundle   string
	hostname string
	env      []string
	cwd      string
	user     string
	binds    []string
	readonly bool
	memory   string
	cpus     float64
	pids     int
	terminal bool
	stdin    bool
}

func (f *containerFlags) add(c *cobra.Command) {
	flags := c.Flags()
	flags.SetInterspersed(false)
	flags.StringVar(&f.rung, "rung", "", fmt.Sprintf("how much stands around the program: one of %s; by default %s", strings.Join(rungNames(), ", "), spec.Hardened))
	flags.StringVar(&f.rootfs, "rootfs", "", "an existing directory as root")
	flags.StringSliceVar(&f.fromHost, "from-host", nil, "programs of this host, copied with their libraries into a new root: bash,ls")
	flags.StringVar(&f.image, "image", "", "a tar or an OCI image (layout directory or archive), unpacked into a new root")
	flags.StringVar(&f.bundle, "bundle", "", "an OCI bundle: a directory with config.json")
	flags.StringVar(&f.hostname, "hostname", "", "the container's host name")
	flags.StringArrayVar(&f.env, "env", nil, "NAME=VALUE, added to the environment")
	flags.StringVar(&f.cwd, "cwd", "", "working directory in the container")
	flags.StringVar(&f.user, "user", "", "UID or UID:GID in the container")
	flags.StringArrayVar(&f.binds, "bind", nil, "SOURCE:DESTINATION[:OPTIONS], such as /srv:/srv:ro,nosuid")
	flags.BoolVar(&f.readonly, "read-only", false, "mount the root read-only")
	flags.StringVar(&f.memory, "memory", "", "memory limit, such as 80M; swap is not given beyond it")
	flags.Float64Var(&f.cpus, "cpus", 0, "CPU limit, such as 0.5")
	flags.IntVar(&f.pids, "pids", 0, "limit of tasks")
	flags.BoolVarP(&f.stdin, "interactive", "i", false, "connect standard input")
	flags.BoolVarP(&f.terminal, "tty", "t", false, "give the program a terminal")
	complete(c, "rung", rungNames())
}

// build makes the spec and, below dir, the root directory. Without root it maps the caller
// alone into the user namespace.
func (f *containerFlags) build(dir string, args []string, undo *cleanup.Stack) (*specs.Spec, error) {
	rung, err := f.parseRung()
	if err != nil {
		return nil, err
	}
	if err := f.sources(); err != nil {
		return nil, err
	}
	var s *specs.Spec
	if f.bundle != "" {
		if s, err = readBundle(f.bundle); err != nil {
			return nil, misuse("%w", err)
		}
		if len(args) > 0 {
			s.Process.Args = args
		}
	} else {
		if len(args) == 0 {
			return nil, misuse("no program: name it behind the flags, as -- PROGRAM [ARGUMENT...]")
		}
		root, err := f.root(dir, undo)
		if err != nil {
			return nil, err
		}
		options, err := hostOptions()
		if err != nil {
			return nil, err
		}
		options.Rootfs, options.Args = root, args
		s = spec.New(rung, options)
		if rung == spec.Bare && !strings.Contains(args[0], "/") { // it runs in the host's root, and is looked up there
			s.Process.Args[0] = args[0]
			if s.Process.Env, err = setEnv(s.Process.Env, []string{"PATH=" + os.Getenv("PATH")}); err != nil {
				return nil, err
			}
		}
		if os.Geteuid() != 0 {
			unprivileged(s, options)
		}
	}
	return s, f.change(s)
}

// unprivileged fits a rung's spec to a caller without root, who may make namespaces only in a
// user namespace, and has no cgroup to limit anything with. Limits that were asked for by name
// stay, and fail.
func unprivileged(s *specs.Spec, o spec.Options) {
	if len(s.Linux.Namespaces) > 0 && !spec.HasNamespace(s, specs.UserNamespace) {
		spec.WithUserNamespace(o).Apply(s)
	}
	s.Linux.Resources = nil
}

func (f *containerFlags) parseRung() (spec.Rung, error) {
	rung, err := spec.ParseRung(cmp.Or(f.rung, string(spec.Hardened)))
	if err != nil {
		return "", misuse("--rung: %w", err)
	}
	return rung, nil
}

func (f *containerFlags) sources() error {
	n := 0
	for _, set := range []bool{f.rootfs != "", len(f.fromHost) > 0, f.image != "", f.bundle != ""} {
		if set {
			n++
		}
	}
	if n != 1 {
		return misuse("name one root: --rootfs DIR, --from-host bash,ls, --image FILE or --bundle DIR")
	}
	if f.bundle != "" && f.rung != "" {
		return misuse("--rung %s: the bundle says itself what stands around its program", f.rung)
	}
	return nil
}

func (f *containerFlags) root(dir string, undo *cleanup.Stack) (string, error) {
	type root interface {
		Path() string
		Close() error
	}
	var r root
	var err error
	switch {
	case f.rootfs != "":
		r, err = rootfs.Directory(f.rootfs)
	case f.image != "":
		if r, err = rootfs.Archive(dir, f.image, rootfs.ArchiveOptions{}); err != nil {
			err = fmt.Errorf("--image takes a tar of a root directory or an OCI image: %w", err)
		}
	default:
		if r, err = rootfs.FromHost(dir, f.fromHost...); err != nil {
			err = fmt.Errorf("--from-host: %w", err)
		}
	}
	if err != nil {
		return "", misuse("%w", err)
	}
	undo.Push("remove the root directory", r.Close)
	return r.Path(), nil
}

// hostOptions are what specs are made of on this host.
func hostOptions() (spec.Options, error) {
	held, err := kernel.HeldCapabilities()
	if err != nil {
		return spec.Options{}, err
	}
	if os.Geteuid() != 0 {
		return spec.Options{Capabilities: held, HostID: uint32(os.Geteuid()), IDCount: 1}, nil
	}
	const firstID, count = 1 << 20, 1 << 16 // host ids that no account has
	return spec.Options{Capabilities: held, HostID: firstID, IDCount: count}, nil
}

// hostNameMax is __NEW_UTS_LEN of linux/utsname.h.
const hostNameMax = 64

// change applies the flags that say more than the rung.
func (f *containerFlags) change(s *specs.Spec) error {
	if len(f.hostname) > hostNameMax {
		return misuse("--hostname %.20q: %d bytes are more than the kernel's %d", f.hostname, len(f.hostname), hostNameMax)
	}
	if f.hostname != "" {
		s.Hostname = f.hostname
	}
	var err error
	if s.Process.Env, err = setEnv(s.Process.Env, f.env); err != nil {
		return err
	}
	if err := setDirectory(s.Process, f.cwd); err != nil {
		return err
	}
	if f.readonly {
		s.Root.Readonly = true
	}
	if f.terminal {
		s.Process.Terminal = true
	}
	if err := f.setUser(s); err != nil {
		return err
	}
	for _, b := range f.binds {
		m, err := parseBind(b)
		if err != nil {
			return err
		}
		spec.WithMount(m).Apply(s)
	}
	return f.limit(s)
}

func (f *containerFlags) setUser(s *specs.Spec) error {
	if f.user == "" {
		return nil
	}
	uid, gid, both := strings.Cut(f.user, ":")
	if !both {
		gid = uid
	}
	for _, id := range []struct {
		text   string
		to     *uint32
		mapped []specs.LinuxIDMapping
	}{{uid, &s.Process.User.UID, s.Linux.UIDMappings}, {gid, &s.Process.User.GID, s.Linux.GIDMappings}} {
		n, err := strconv.ParseUint(id.text, 10, 32)
		if err != nil {
			return misuse("--user %q: want UID or UID:GID, as numbers", f.user)
		}
		if len(id.mapped) > 0 && !slices.ContainsFunc(id.mapped, func(m specs.LinuxIDMapping) bool {
			return n >= uint64(m.ContainerID) && n-uint64(m.ContainerID) < uint64(m.Size)
		}) {
			return misuse("--user %s: the container's user namespace has no id %d: it has %d from %d on", f.user, n, id.mapped[0].Size, id.mapped[0].ContainerID)
		}
		*id.to = uint32(n)
	}
	return nil
}

// setDirectory applies --cwd, where it is given.
func setDirectory(p *specs.Process, cwd string) error {
	switch {
	case cwd == "":
		return nil
	case !filepath.IsAbs(cwd):
		return misuse("--cwd %q: want an absolute path in the container", cwd)
	}
	p.Cwd = cwd
	return nil
}

// setEnv puts NAME=VALUE pairs into an environment. Of two with one name programs take either.
func setEnv(env, pairs []string) ([]string, error) {
	for _, pair := range pairs {
		name, _, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return nil, misuse("--env %q: want NAME=VALUE", pair)
		}
		env = slices.DeleteFunc(slices.Clone(env), func(e string) bool { return strings.HasPrefix(e, name+"=") })
		env = append(env, pair)
	}
	return env, nil
}

func parseBind(text string) (specs.Mount, error) {
	parts := strings.SplitN(text, ":", 3)
	if len(parts) < 2 || !filepath.IsAbs(parts[0]) || !filepath.IsAbs(parts[1]) {
		return specs.Mount{}, misuse("--bind %q: want SOURCE:DESTINATION[:OPTIONS] with absolute paths", text)
	}
	if _, err := os.Stat(parts[0]); err != nil {
		return specs.Mount{}, misuse("--bind %s: %w", text, err)
	}
	var options []string
	if len(parts) == 3 {
		options = strings.Split(parts[2], ",")
	}
	return spec.Bind(parts[0], parts[1], options...), nil
}
