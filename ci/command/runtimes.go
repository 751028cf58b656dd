package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"cellwall/runtime/driver"
)

const (
	// everyRuntime stands for the core and every runtime of a name that is on this host.
	everyRuntime = "all"
	// requireVariable names runtimes, with commas between, whose absence is an error also with
	// everyRuntime: where one went missing, nobody may take silence for success.
	requireVariable = "CELLWALL_REQUIRE"
	// boots is why everyRuntime has not driver.VMName in it.
	boots = "it boots a machine for every trial: name it"
)

// checkRuntimes refuses a list of --runtime that names nothing, nothing that is known, or one twice.
func checkRuntimes(list []string) error {
	if len(list) == 0 || slices.Contains(list, "") {
		return misuse("--runtime names no runtime: it takes %s, several with commas between, or %s", driver.Forms(), everyRuntime)
	}
	var seen []string
	for _, name := range list {
		if name == everyRuntime {
			if len(list) > 1 {
				return misuse("--runtime %s: %s is every runtime that is found, and stands alone", strings.Join(list, ","), everyRuntime)
			}
			_, err := requiredRuntimes()
			return err
		}
		if err := driver.Check(name); err != nil {
			return misuse("--runtime: %w", err)
		}
		short := shortName(name)
		if slices.Contains(seen, short) {
			return misuse("--runtime %s: %s is there twice", strings.Join(list, ","), short)
		}
		seen = append(seen, short)
	}
	return nil
}

// shortName is what verdicts call a runtime: "runc" for "runc=/opt/bin/runc". Where a path follows oci:,
// that is part of the name.
func shortName(name string) string {
	if short, _, _ := strings.Cut(name, "="); slices.Contains(driver.Names(), driver.Kind(short)) {
		return short
	}
	return name
}

func requiredRuntimes() ([]string, error) {
	list := strings.FieldsFunc(os.Getenv(requireVariable), func(r rune) bool { return r == ',' })
	for _, name := range list {
		if !slices.Contains(driver.Names(), name) {
			return nil, misuse("%s: runtime %q is none of %s", requireVariable, name, strings.Join(driver.Names(), ", "))
		}
	}
	return list, nil
}

// findRuntimes returns the runtimes of a list that checkRuntimes has passed, in its order, and those
// that are not on this host or do not say what they are. These are an error, unless the list is
// everyRuntime and requireVariable does not name them.
func findRuntimes(ctx context.Context, list []string, core driver.Runtime) (found []driver.Runtime, absent []string, err error) {
	every := slices.Contains(list, everyRuntime)
	var required []string
	if every {
		list = driver.Names()
		if required, err = requiredRuntimes(); err != nil {
			return nil, nil, err
		}
	}
	for _, name := range list {
		if every && name == driver.VMName && !slices.Contains(required, name) {
			absent = append(absent, name+" ("+boots+")")
			continue
		}
		rt, err := driver.Find(ctx, name, core)
		switch {
		case err == nil:
			found = append(found, rt)
		case every && errors.Is(err, driver.ErrAbsent) && !slices.Contains(required, name):
			absent = append(absent, name+why(err))
		case every && errors.Is(err, driver.ErrAbsent):
			return nil, nil, fmt.Errorf("%s names it: %w: install %s", requireVariable, err, packageOf(name))
		case errors.Is(err, driver.ErrAbsent) && shortName(name) == driver.VMName:
			return nil, nil, fmt.Errorf("%w: install QEMU, and get a kernel by cellwall kernels fetch", err)
		case errors.Is(err, driver.ErrAbsent) && name == shortName(name) && slices.Contains(driver.Names(), name):
			return nil, nil, fmt.Errorf("%w: install %s, or name its program: --runtime %s=PATH", err, packageOf(name), name)
		case errors.Is(err, driver.ErrAbsent) && strings.Contains(name, "/") && !strings.HasPrefix(name, driver.ExecPrefix):
			return nil, nil, misuse("--runtime %s: %w: name the program that is there", name, err)
		case errors.Is(err, driver.ErrAbsent):
			return nil, nil, fmt.Errorf("%w: install it, or name the program that is there", err)
		case every && ctx.Err() == nil && !slices.Contains(required, name):
			absent = append(absent, fmt.Sprintf("%s (%s)", name, oneLine(err)))
		default:
			return nil, nil, fmt.Errorf("--runtime %s: %w", name, err)
		}
	}
	return found, absent, nil
}

// why says why a runtime whose program is there still counts as absent.
func why(err error) string {
	var unfit *driver.Unfit
	if !errors.As(err, &unfit) {
		return ""
	}
	return fmt.Sprintf(" (%v)", unfit.Why)
}

// packageOf is what Debian and Fedora call the package of a runtime.
func packageOf(name string) string {
	switch name {
	case "bwrap":
		return "bubblewrap"
	case "systemd-nspawn":
		return "systemd-container"
	case "lxc-execute":
		return "lxc"
	case "unshare":
		return "util-linux"
	case "chroot":
		return "coreutils"
	}
	return name
}
