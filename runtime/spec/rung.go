package spec

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// Rung is one step of the ladder from a bare process to a hardened container.
type Rung string

// The rungs that the core climbs, lowest first, and the two that stand beside the ladder.
const (
	Bare       Rung = "bare"
	Chroot     Rung = "chroot"
	Namespaces Rung = "namespaces"
	Limits     Rung = "limits"
	Hardened   Rung = "hardened"
	// Sandbox is a user-space kernel or a virtual machine: no rung of the core. Its spec is that of the highest.
	Sandbox Rung = "sandbox"
	// Runtime marks guarantees that rest on the runtime's own behaviour at every rung.
	Runtime Rung = "runtime"
)

// Options is what a rung needs to know of the place where its spec will run. The zero value
// with a Rootfs works for an unprivileged description.
type Options struct {
	Rootfs string   // host path of the root filesystem
	Args   []string // program and arguments; the program's path is inside the rootfs
	// Capabilities are those that the launcher holds: no rung may ask for more.
	Capabilities []string
	// HostID is the first host uid and gid of the user namespace's mapping; IDCount is its
	// length. A count of 1 maps root alone, which is what an unprivileged launcher can do.
	HostID, IDCount uint32
}

// step is one rung of the ladder: what it adds, in words and as edits.
type step struct {
	rung  Rung
	adds  string
	edits func(Options) Edits
}

var ladder = []step{
	{
		rung:  Bare,
		adds:  "nothing: a process on the host",
		edits: func(Options) Edits { return nil },
	},
	{
		rung: Chroot,
		adds: "a root directory",
		edits: func(o Options) Edits {
			return Edits{Change("a root directory", func(s *specs.Spec) {
				s.Root.Path = o.Rootfs
				s.Process.Args = slices.Clone(o.Args)
			})}
		},
	},
	{
		rung: Namespaces,
		adds: "pivot_root, namespaces, and /proc, /sys, /dev and /tmp of its own",
		edits: func(Options) Edits {
			return Edits{
				Change("namespaces", func(s *specs.Spec) { s.Linux.Namespaces = namespaces() }),
				Change("a host name", func(s *specs.Spec) { s.Hostname = "cellwall" }),
				Change("mounts of its own", func(s *specs.Spec) { s.Mounts = defaultMounts() }),
			}
		},
	},
	{
		rung: Limits,
		adds: "cgroup limits",
		edits: func(Options) Edits {
			return Edits{Change("cgroup limits", func(s *specs.Spec) { s.Linux.Resources = defaultLimits() })}
		},
	},
	{
		rung: Hardened,
		adds: "a user namespace, few capabilities, seccomp, no_new_privs, masked paths, a device filter, rlimits",
		edits: func(o Options) Edits {
			return Edits{
				WithUserNamespace(o),
				Change("few capabilities", func(s *specs.Spec) { s.Process.Capabilities = capabilities(keep(o, defaultCapabilities)) }),
				Change("no_new_privs", func(s *specs.Spec) { s.Process.NoNewPrivileges = true }),
				Change("masked paths", func(s *specs.Spec) {
					s.Linux.MaskedPaths = slices.Clone(maskedPaths)
					s.Linux.ReadonlyPaths = slices.Clone(readonlyPaths)
				}),
				Change("a device filter", func(s *specs.Spec) { s.Linux.Resources.Devices = deviceRules() }),
				Change("rlimits", func(s *specs.Spec) { s.Process.Rlimits = slices.Clone(rlimits) }),
				// Last: the profile depends on the capabilities.
				Change("seccomp", func(s *specs.Spec) { s.Linux.Seccomp = defaultSeccomp(s) }),
			}
		},
	},
}

// Ladder returns the rungs of the core, lowest first.
func Ladder() []Rung {
	rungs := make([]Rung, len(ladder))
	for i := range ladder {
		rungs[i] = ladder[i].rung
	}
	return rungs
}

// Adds says in words what a rung of the ladder adds to the one below.
func (r Rung) Adds() string {
	for i := range ladder {
		if ladder[i].rung == r {
			return ladder[i].adds
		}
	}
	return ""
}

// ParseRung returns the rung of a name, of those that the core makes.
func ParseRung(name string) (Rung, error) {
	if r := Rung(name); slices.Contains(Ladder(), r) {
		return r, nil
	}
	var names []string
	for _, r := range Ladder() {
		names = append(names, string(r))
	}
	return "", fmt.Errorf("rung %q is none of %s", name, strings.Join(names, ", "))
}

// Covers reports whether a container at rung r must hold what is first held at other. A
// guarantee of the runtime's own behaviour is covered by every rung, one of a sandbox by that alone.
func (r Rung) Covers(other Rung) bool {
	if other == Runtime || r == Sandbox {
		return true
	}
	mine, its := slices.Index(Ladder(), r), slices.Index(Ladder(), other)
	return its >= 0 && its <= mine
}

// New returns the spec of a rung: the bare one with the edits of every rung up to it. It
// panics on a rung that is not on the ladder, but for that of a sandbox.
func New(r Rung, o Options) *specs.Spec {
	if r == Sandbox {
		r = Hardened
	}
	if !slices.Contains(Ladder(), r) {
		panic(fmt.Sprintf("spec of rung %q: not on the ladder", r))
	}
	s := bare(o)
	for i := range ladder {
		for _, e := range ladder[i].edits(o) {
			e.Apply(s)
		}
		if ladder[i].rung == r {
			break
		}
	}
	return s
}

func bare(o Options) *specs.Spec {
	s := &specs.Spec{
		Version: specs.Version,
		Root:    &specs.Root{Path: o.Rootfs},
		Process: &specs.Process{
			Args: slices.Clone(o.Args),
			Env:  []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
			Cwd:  "/",
			// Listed in full, since an OCI runtime reads an absent list as an empty one.
			Capabilities: capabilities(o.Capabilities),
		},
		Linux: &specs.Linux{},
	}
	HostRootDirectory().Apply(s)
	return s
}

// HostRootDirectory leaves the process in the host's root directory: no chroot and no pivot_root. The
// program keeps its place, so its path becomes a host path.
func HostRootDirectory() Edit {
	return Change("the host's root directory", func(s *specs.Spec) {
		if len(s.Process.Args) > 0 {
			s.Process.Args[0] = filepath.Join(s.Root.Path, s.Process.Args[0])
		}
		s.Root.Path = "/"
	})
}
