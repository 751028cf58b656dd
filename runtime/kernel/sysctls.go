package kernel

// The sysctls on which isolation rests. Each error wraps ErrNotSupported where the kernel has
// no such sysctl.

// YamaScope returns kernel.yama.ptrace_scope: 0 classic, 1 descendants, 2 CAP_SYS_PTRACE, 3 none.
func YamaScope() (int, error) { return SysctlInt("kernel.yama.ptrace_scope") }

// UnprivilegedBPFDisabled returns kernel.unprivileged_bpf_disabled: 0 no, 1 until boot, 2 yes.
func UnprivilegedBPFDisabled() (int, error) { return SysctlInt("kernel.unprivileged_bpf_disabled") }

// IOUringDisabled returns kernel.io_uring_disabled (6.6): 0 no, 1 without a group, 2 for all.
func IOUringDisabled() (int, error) { return SysctlInt("kernel.io_uring_disabled") }

// KptrRestrict returns kernel.kptr_restrict: 0 hashed, 1 CAP_SYSLOG, 2 never shown.
func KptrRestrict() (int, error) { return SysctlInt("kernel.kptr_restrict") }

// DmesgRestrict returns kernel.dmesg_restrict: 1 asks for CAP_SYSLOG.
func DmesgRestrict() (int, error) { return SysctlInt("kernel.dmesg_restrict") }

// CorePattern returns kernel.core_pattern, core(5). A leading "|" is a program of the host.
func CorePattern() (string, error) { return Sysctl("kernel.core_pattern") }

// Protected returns the sysctls fs.protected_* by the rest of their names: "hardlinks".
func Protected() (map[string]int, error) {
	return sysctlFamily("fs.protected_", "", "fifos", "hardlinks", "regular", "symlinks")
}

// MaxNamespaces returns the sysctls user.max_*_namespaces of the caller's user namespace, by
// the middle of their names: "mnt".
func MaxNamespaces() (map[string]int, error) {
	return sysctlFamily("user.max_", "_namespaces", "cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts")
}

func sysctlFamily(prefix, suffix string, names ...string) (map[string]int, error) {
	values := make(map[string]int, len(names))
	for _, name := range names {
		n, err := SysctlInt(prefix + name + suffix)
		if CauseOf(err) == NotBuilt { // time has come with 5.6
			continue
		}
		if err != nil {
			return nil, err
		}
		values[name] = n
	}
	return values, nil
}
