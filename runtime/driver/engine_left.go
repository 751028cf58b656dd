package driver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"cellwall/runtime/cgroup"
	"cellwall/runtime/cleanup"
	"cellwall/runtime/rootfs"
)

// engineLabel is a label of containers of ours, whose value begins as the lease's name does; the images have it for
// their own name.
const engineLabel = "cellwall"

// EngineLeft is something of ours that an engine keeps in its own storage. What podman keeps lies in the trial's
// directory, but for the state of the OCI runtime under it.
type EngineLeft struct {
	What, Name string // Name begins with that of a lease
	Remove     func() error
}

// ociStates are the files in which the runtimes under podman tell of each container: crun(8) and runc(8), --root.
var ociStates = []string{"/run/crun/*/status", "/run/runc/*/state.json"}

// bundleOf finds the container's bundle in them: crun has a field, runc a label.
var bundleOf = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`"bundle(?:" ?: ?"|=)(/[^"]*)"`) })

// leftStates lists what OCI runtimes keep of containers of ours.
func leftStates(patterns []string) ([]EngineLeft, error) {
	var left []EngineLeft
	for _, pattern := range patterns {
		files, err := filepath.Glob(pattern)
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", pattern, err)
		}
		for _, file := range files {
			raw, err := readSome(file, 1<<20)
			if errors.Is(err, os.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, err
			}
			m := bundleOf().FindSubmatch(raw)
			if m == nil {
				continue
			}
			names := strings.Split(string(m[1]), "/")
			if at := slices.IndexFunc(names, func(name string) bool { return strings.HasPrefix(name, cgroup.Prefix) }); at >= 0 {
				dir := filepath.Dir(file)
				left = append(left, EngineLeft{What: "state " + dir + " of", Name: names[at], Remove: func() error { return rootfs.Remove(dir) }})
			}
		}
	}
	return left, nil
}

// LeftInEngines lists what is in the storage of the engine of docker that answers, if one does, containers first, and
// what OCI runtimes keep that podman uses.
func LeftInEngines(ctx context.Context) ([]EngineLeft, error) {
	left, err := leftStates(ociStates)
	if err != nil {
		return nil, err
	}
	path, err := lookUp("docker")
	if errors.Is(err, ErrAbsent) {
		return left, nil
	}
	if err != nil {
		return nil, err
	}
	if _, err := askDocker(ctx, "docker", path); errors.Is(err, ErrAbsent) {
		return left, nil
	} else if err != nil {
		return nil, err
	}
	for _, kind := range []struct {
		what         string
		list, remove []string
	}{
		{"container", []string{"ps", "--all", "--no-trunc", "--filter=label=" + engineLabel, "--format={{.ID}} {{.Label \"" + engineLabel + "\"}}"}, []string{"rm", "--force", "--volumes"}},
		{"image", []string{"image", "ls", "--no-trunc", "--filter=reference=" + cgroup.Prefix + "*", "--format={{.ID}} {{.Repository}}"}, []string{"image", "rm", "--force"}},
	} {
		out, err := dockerSays(ctx, path, kind.list...)
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(out) {
			id, name, _ := strings.Cut(strings.TrimSpace(line), " ")
			left = append(left, EngineLeft{What: "docker's " + kind.what, Name: name, Remove: func() error {
				_, err := dockerSays(context.WithoutCancel(ctx), path, slices.Concat(kind.remove, []string{id})...)
				return err
			}})
		}
	}
	return left, nil
}

// dockerSays is what a command of the client of docker prints.
func dockerSays(ctx context.Context, path string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.WaitDelay = drained
	cmd.Env = dockerEnv()
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return "", fmt.Errorf("docker %s: %s (%w)", args[0], inOneLine(string(exit.Stderr)), err)
	}
	if err != nil {
		return "", fmt.Errorf("docker %s: %w", args[0], err)
	}
	return string(out), nil
}

// sweep names and removes what the engine has left behind: processes of its own, control groups, mounts.
func (c *engineContainer) sweep() error {
	procs, err := c.lingering()
	left, swept := sweepGroups(c.manager, procs, c.below)
	errs := []error{err, swept}
	if c.mounts != nil {
		mounts, err := c.mounts.left()
		errs = append(errs, err)
		left = append(left, mounts...)
	}
	return errors.Join(append(errs, cleanup.LeftBy(c.name, left))...)
}

// lingering are processes of the engine's that do not end by themselves: podman has one tidy up after every
// container.
func (c *engineContainer) lingering() ([]int, error) {
	end := time.Now().Add(dying)
	for {
		procs, err := c.manager.Procs()
		if err != nil || len(procs) == 0 || time.Now().After(end) {
			return procs, err
		}
		<-time.After(lookEvery)
	}
}
