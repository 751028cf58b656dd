package driver

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// dialect is what differs between engines.
type dialect struct {
	name string
	// ask returns the version of an engine that can be used.
	ask func(ctx context.Context, name, path string) (string, error)
	// oci returns the OCI runtime that it uses, or nil for one that is none of ours.
	oci func(ctx context.Context, path string) (*oci, error)
	// daemon engines have a process of the host's own make their containers, of images alone.
	daemon bool
	lacks  []string // parts, by their names
	// global are options before the verb; env are variables, with a directory of the container's own in them.
	global func(c *engineContainer) []string
	env    func(dir string) []string
	always []string // options of create
	// networked are options where there is a network, and an error elsewhere.
	networked []string
	// listed says of a value that may have commas what its option takes.
	listed func(value string) string
	remove []string // options of rm
	// group is the container's cgroup below its parent.
	group func(id string) string
	// joins comes before the path of a namespace; empty is that there is no such option.
	joins   string
	ambient bool // users that are not root get their capabilities as ambient ones
	// privileges are the options with and without no_new_privs.
	privileges map[bool][]string
	minMemory  int64  // the least limit, in bytes
	unified    string // the option for a file of cgroup v2
	// Versions since which a filter has a default errno and flags, a read-only bind mount can be told whether it is
	// recursive, and the capabilities of Linux 5.8 and 5.9 have names. Empty is always.
	seccompSince, recursiveSince, newCapsSince string
	// sysctls are what a network namespace gets otherwise, with the kernel's own defaults.
	sysctls map[string]string
	// limits are resource limits that are raised where they are not given.
	limits []string
	// tmpfs are the options of a tmpfs that can be given.
	tmpfs []string
	// writable is the option that makes the cgroup mount writable; empty is that none does here.
	writable func() string
	// bind is the option for a bind mount.
	bind func(e *engine, source, destination string, options []string) (string, error)
	// masks are the options for masked and read-only paths.
	masks func(masked, readonly []string) ([]string, error)
	// masked is the list of masked paths that cannot be changed; nil is that any can be given.
	masked []string
}

// podman is podman(1) 4.3 and newer, run by root. With its own storage, state, locks and configuration it
// neither reads nor writes what the user's has: pkg/domain/infra, containers.conf(5).
func podman() dialect {
	return dialect{
		name:  "podman",
		ask:   func(ctx context.Context, _, path string) (string, error) { return version(ctx, path) },
		oci:   podmanOCI,
		lacks: []string{"time-namespace"},
		global: func(c *engineContainer) []string {
			return []string{
				"--remote=false", "--log-level=error", "--cgroup-manager=cgroupfs", "--storage-driver=vfs",
				"--runtime=" + c.under.path,
				"--root=" + c.at("storage"), "--runroot=" + c.run, "--tmpdir=" + c.at("tmp"),
			}
		},
		env: func(dir string) []string {
			return []string{
				"CONTAINERS_CONF=" + filepath.Join(dir, podmanConf), "CONTAINERS_STORAGE_CONF=" + filepath.Join(dir, podmanStorage),
				"PODMAN_USERNS=", "PODMAN_IGNORE_CGROUPSV1_WARNING=1",
			}
		},
		always: []string{
			"--cgroups=no-conmon", "--no-hosts", "--systemd=false", "--sdnotify=ignore",
			"--http-proxy=false", "--read-only-tmpfs=false", "--log-driver=none",
		},
		networked:  []string{"--dns=none"},                             // cmd/podman/containers/create.go, CreateInit
		listed:     func(value string) string { return record(value) }, // cmd/podman/common/create.go, StringSliceVar
		remove:     []string{"--force", "--volumes", "--time=0"},
		group:      func(id string) string { return "libpod-" + id }, // libpod/container_internal_linux.go, getOCICgroupPath
		joins:      "ns:",
		ambient:    true, // pkg/specgen/generate/security_linux.go
		privileges: map[bool][]string{true: {"--security-opt=no-new-privileges"}},
		unified:    "--cgroup-conf",
		limits:     []string{"nofile", "nproc"}, // pkg/specgen/generate, addRlimits
		tmpfs:      []string{"size=", "mode="},  // pkg/util/mountOpts.go
		writable:   podmanWritable,
		bind:       podmanBind,
		masks:      podmanMasks,
	}
}

// docker is docker(1) 20.10 and newer, whose daemon has the cgroup driver cgroupfs.
func docker() dialect {
	return dialect{
		name:   "docker",
		ask:    askDocker,
		oci:    dockerOCI,
		daemon: true,
		lacks:  []string{"time-namespace", "user-namespace"}, // --userns knows the daemon's mapping alone
		global: func(*engineContainer) []string { return nil },
		env:    func(dir string) []string { return []string{"DOCKER_CONFIG=" + filepath.Join(dir, "docker")} },
		always: []string{"--pull=never", "--init=false", "--no-healthcheck", "--log-driver=none"},
		listed: func(value string) string { return value },
		remove: []string{"--force", "--volumes"},
		group:  func(id string) string { return id }, // daemon/oci_linux.go, WithCgroups
		// daemon.json can have it on for all.
		privileges:   map[bool][]string{true: {"--security-opt=no-new-privileges=true"}, false: {"--security-opt=no-new-privileges=false"}},
		minMemory:    6 << 20, // daemon/daemon_unix.go, linuxMinMemory
		seccompSince: "23.0",  // profiles/seccomp: the type of 20.10 has neither
		// cli/opts/mount.go, bind-recursive; on older ones a mount alone is read-only.
		recursiveSince: "25.0",
		newCapsSince:   "23.0", // moby PR 41563 and 42011
		// daemon/oci_linux.go, WithCommonOptions
		sysctls:  map[string]string{"net.ipv4.ip_unprivileged_port_start": "1024", "net.ipv4.ping_group_range": "1 0"},
		tmpfs:    []string{"size=", "mode=", "uid=", "gid=", "nr_inodes=", "nr_blocks=", "mpol="}, // moby/sys/mount
		writable: func() string { return "" },
		bind:     dockerBind,
		masks:    dockerMasks,
		masked:   dockerMasked,
	}
}

// askDocker asks for the daemon. Without one, or with one whose containers cannot be put into our cgroup,
// docker is absent.
func askDocker(ctx context.Context, name, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "info", "--format", "{{json .}}")
	cmd.WaitDelay = drained
	cmd.Env = dockerEnv()
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if ctx.Err() != nil {
		return "", fmt.Errorf("ask %s for its engine: %w", path, ctx.Err())
	}
	var info struct {
		ServerVersion, CgroupDriver   string
		ServerErrors, SecurityOptions []string
	}
	jsonErr := json.Unmarshal(out, &info)
	unfit := func(format string, args ...any) error { return &Unfit{Name: name, Why: fmt.Errorf(format, args...)} }
	switch {
	case info.ServerVersion == "" || jsonErr != nil:
		said := cmp.Or(strings.Join(info.ServerErrors, "; "), strings.Join(strings.Fields(errs.String()), " "))
		return "", unfit("the engine does not answer: %w", cmp.Or(textError(said), err, jsonErr, errors.New("it has no version")))
	case info.CgroupDriver != "cgroupfs":
		return "", unfit("the engine's cgroup driver is %q, which takes a systemd slice for a parent: start dockerd with --exec-opt native.cgroupdriver=cgroupfs", info.CgroupDriver)
	case strings.Contains(strings.Join(info.SecurityOptions, " "), "name=rootless"):
		return "", unfit("the engine is rootless: its containers are in cgroups and namespaces of its user")
	}
	return info.ServerVersion, nil
}

// dockerEnv is without proxies, plugins or contexts of the user's.
func dockerEnv() []string { return append(os.Environ(), "DOCKER_CONFIG=/nonexistent") }

// textError is a text as an error, nil for none.
func textError(text string) error {
	if text == "" {
		return nil
	}
	return fmt.Errorf("%.300s", text)
}
