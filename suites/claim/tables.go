package claim

import (
	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/spec"
)

// tables are the exceptions of each runtime by its name.
var tables = map[string][]Exception{
	"runc": {
		noTime("1.2.0", "runc PR 3876"),
		{
			Rows:     []string{"fs.image-symlink"},
			Fixed:    []string{"1.3.6", "1.4.3", "1.5.0"},
			Known:    true,
			Evidence: "ptmx is new",
			Reason:   "where the image's /dev is a link, it makes ptmx, fd and the standard streams where that leads on the host, with a tmpfs on /dev too",
			Source:   "CVE-2026-41579, GHSA-xjvp-4fhw-gc47",
			Advice:   "update to 1.3.6, 1.4.3, 1.5.0 or newer, or refuse images whose /dev is a link: no mount on /dev helps",
		},
		{
			Rows:   []string{"fs.mask-source"},
			Fixed:  []string{"1.2.8", "1.3.3", "1.4.0"},
			Known:  true,
			Reason: "it masks files with the /dev/null of the image, and never looks whether that is one",
			Source: "CVE-2025-31133, GHSA-9493-h29p-rfm2",
			Advice: "update to 1.2.8, 1.3.3, 1.4.0 or newer",
		},
	},
	"crun": {
		noTime("1.8.4", "crun NEWS"),
		{
			Rows:     []string{"fs.mask-source"},
			Fixed:    []string{"1.30"},
			Known:    true,
			Evidence: "was written",
			Reason:   "it takes a pipe for the null device, and reopens the standard streams by the /dev/null of the image, wherever that leads",
			Source:   "CVE-2026-88265, crun PR 2249, merged after 1.29.1; the next release is inferred",
			Advice:   "mount a tmpfs on /dev, as engines do: without one the image's /dev/null is used",
		},
		{
			Rows:   []string{"fs.cwd-leak"},
			Fixed:  []string{"1.15"},
			Known:  true,
			Reason: "it changes to a working directory behind a descriptor that its caller leaked, and does not look where that is",
			Source: "crun PR 1407; crun NEWS, 1.15: the check of 1.14.1 was not correct",
			Advice: "update to 1.15 or newer, and start it with no descriptors but the three",
		},
		{
			Rows:     []string{"fs.image-symlink"},
			Fixed:    []string{"1.28"},
			Known:    true,
			Evidence: "null is new",
			Reason:   "where the image's /dev is a link, it makes devices where that leads on the host, with a tmpfs on /dev too",
			Source:   "seen on 1.8.1; CVE-2026-47766, GHSA-7vwr-4279-7gq5, which runc's advisory names too; that it is fixed in 1.28 is from others' notes on it",
			Advice:   "update to 1.28 or newer, or refuse images whose /dev is a link: no mount on /dev helps",
		},
		{
			Rows:     []string{"fs.nosuid", "fs.nodev", "fs.noexec"},
			From:     spec.Hardened,
			Fixed:    []string{"1.11.1"},
			Known:    true,
			Evidence: `: ["/volume-`, // no other mount
			Reason:   "in a user namespace its bind mounts lose nosuid, nodev and noexec; only ro is kept",
			Source:   "crun NEWS, 1.11.1; seen in /proc/PID/mountinfo of a container by 1.8.1",
			Advice:   "update to 1.11.1 or newer, or mount the source with these flags on the host",
		},
		{
			Rows:   []string{"lifecycle.id-traversal"},
			Fixed:  []string{"1.20"},
			Known:  true,
			Reason: "it takes a slash for part of a container's name, and then cannot delete the container",
			Source: "crun PR 1647, merged in January 2025, after 1.19.1; the next release is inferred",
			Advice: "update to 1.20 or newer, and let no user choose the name",
		},
		{
			Rows:   []string{"syscall.unknown-enosys"},
			Reason: "it has no rule for calls newer than the profile: they get the profile's default, which is EPERM",
			Source: "crun src/libcrun/seccomp.c follows linux.seccomp to the letter; runc's stub: runc PR 2750",
			Advice: "set defaultErrnoRet to 38 (ENOSYS) in the profile",
		},
	},
	"runsc":          runscTable,
	"bwrap":          bwrapTable,
	"systemd-nspawn": nspawnTable,
	"lxc-execute":    lxcTable,
	"unshare":        unshareTable,
	"chroot":         chrootTable,
	"podman":         podmanTable,
	"docker":         dockerTable,
	"vm":             vmTable,
}

func noTime(since, source string) Exception {
	return Exception{
		Rows:   []string{"time.*", "process.own-namespaces"},
		Lack:   spec.WithoutNamespace(specs.TimeNamespace).Name,
		Fixed:  []string{since},
		Reason: "it makes no time namespace",
		Source: source + ": since " + since,
		Advice: "update it; the clocks are the host's until then",
	}
}
