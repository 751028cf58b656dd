package kernel

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"strings"
	"testing"
)

// allowed are the absences that need no newer kernel, each with its reason: the option that
// the kernel was built without, or what this host lacks or forbids. A kernel newer than a
// gate's Since that lacks it for any other reason makes the test fail.
var allowed = []struct {
	feature *Feature
	cause   Cause
	config  string // the reason must show in the kernel's configuration, where that is to be read
	reason  string
}{
	{feature: TimeNamespace, cause: NotBuilt, config: "CONFIG_TIME_NS", reason: "not configured"},
	{feature: TimeAtExecClone, cause: NotBuilt, config: "CONFIG_TIME_NS", reason: "not configured"},
	{feature: TimeAtExecUnshare, cause: NotBuilt, config: "CONFIG_TIME_NS", reason: "not configured"},
	{feature: UserNamespace, cause: NotBuilt, config: "CONFIG_USER_NS", reason: "not configured"},
	{feature: UserNamespace, cause: Policy, reason: "sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone or AppArmor"},
	{feature: UnprivilegedUserNamespace, cause: NotBuilt, config: "CONFIG_USER_NS", reason: "not configured"},
	{feature: UnprivilegedUserNamespace, cause: Policy, reason: "sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone or AppArmor"},
	{feature: ProcInUserNamespace, cause: Policy, reason: "an outer container masks parts of /proc"},
	{feature: SysfsInUserNamespace, cause: Policy, reason: "an outer container has no full /sys"},
	{feature: Overlay, cause: NotBuilt, config: "CONFIG_OVERLAY_FS", reason: "no module"},
	{feature: Mqueue, cause: NotBuilt, config: "CONFIG_POSIX_MQUEUE", reason: "not configured"},
	{feature: PosixMQ, cause: NotBuilt, config: "CONFIG_POSIX_MQUEUE", reason: "not configured"},
	{feature: SysVIPC, cause: NotBuilt, config: "CONFIG_SYSVIPC", reason: "not configured"},
	{feature: I386, cause: NotBuilt, config: "CONFIG_IA32_EMULATION", reason: "not configured, or off at boot"},
	{feature: I386, cause: Hardware, reason: "not an x86"},
	{feature: X32, cause: NotBuilt, config: "CONFIG_X86_X32_ABI", reason: "not configured, or off at boot"},
	{feature: X32, cause: Hardware, reason: "not an x86"},
	{feature: Loopback, cause: NotSetUp, reason: "lo is down in this network namespace"},
	{feature: LandlockFS, cause: NotBuilt, config: "CONFIG_SECURITY_LANDLOCK", reason: "not configured"},
	{feature: LandlockNet, cause: NotBuilt, config: "CONFIG_SECURITY_LANDLOCK", reason: "not configured"},
	{feature: LandlockScope, cause: NotBuilt, config: "CONFIG_SECURITY_LANDLOCK", reason: "not configured"},
	{feature: LandlockFS, cause: Policy, reason: "not in lsm="},
	{feature: LandlockNet, cause: Policy, reason: "not in lsm="},
	{feature: LandlockScope, cause: Policy, reason: "not in lsm="},
	{feature: Keyrings, cause: NotBuilt, config: "CONFIG_KEYS", reason: "not configured"},
	{feature: AppArmor, cause: NotSetUp, reason: "not in lsm="},
	{feature: SELinux, cause: NotSetUp, reason: "not in lsm="},
	{feature: Yama, cause: NotSetUp, reason: "not in lsm="},
	{feature: BPFLSM, cause: NotSetUp, reason: "not in lsm="},
	{feature: LockdownLSM, cause: NotSetUp, reason: "not in lsm="},
	{feature: IPv6, cause: NotBuilt, config: "CONFIG_IPV6", reason: "not configured, or ipv6.disable=1"},
	{feature: Packet, cause: NotBuilt, config: "CONFIG_PACKET", reason: "no module"},
	{feature: Vsock, cause: NotBuilt, config: "CONFIG_VSOCKETS", reason: "no module"},
	{feature: Alg, cause: NotBuilt, config: "CONFIG_CRYPTO_USER_API", reason: "no module"},
	{feature: NetlinkAudit, cause: NotBuilt, config: "CONFIG_AUDIT", reason: "not configured"},
	{feature: BTF, cause: NotBuilt, config: "CONFIG_DEBUG_INFO_BTF", reason: "not configured"},
	{feature: BPFCgroupDevice, cause: NotBuilt, config: "CONFIG_CGROUP_BPF", reason: "not configured"},
	{feature: IOUring, cause: NotBuilt, config: "CONFIG_IO_URING", reason: "not configured"},
	{feature: IOUring, cause: Policy, reason: "sysctl kernel.io_uring_disabled"},
	{feature: AIO, cause: NotBuilt, config: "CONFIG_AIO", reason: "not configured"},
	{feature: LoopDevice, cause: NotSetUp, reason: "no module, or no device node"},
	{feature: Userfaultfd, cause: NotBuilt, config: "CONFIG_USERFAULTFD", reason: "not configured"},
	{feature: UserfaultfdUser, cause: NotBuilt, config: "CONFIG_USERFAULTFD", reason: "not configured"},
	{feature: Swap, cause: NotSetUp, reason: "no swapon"},
	{feature: SwapAccounting, cause: NotBuilt, reason: "swapaccount=0, or the hierarchy lacks it"},
	{feature: HugePages, cause: NotSetUp, reason: "vm.nr_hugepages=0"},
	{feature: HugePages, cause: NotBuilt, config: "CONFIG_HUGETLBFS", reason: "not configured"},
	{feature: NUMA, cause: Hardware, reason: "one node"},
	{feature: NUMA, cause: NotBuilt, config: "CONFIG_NUMA", reason: "not configured"},
	{feature: MultipleCPUs, cause: Hardware, reason: "one CPU, or a cpuset"},
	{feature: Pressure, cause: NotBuilt, reason: "not configured, or psi=0 (CONFIG_PSI_DEFAULT_DISABLED)"},
}

// unexplained returns why an absence is not allowed, or "".
func unexplained(f *Feature, err error, config string) string {
	cause := CauseOf(err)
	if cause == NoPrivilege {
		return "" // refused has looked whether the capability is held
	}
	for _, row := range allowed {
		if row.feature != f || row.cause != cause {
			continue
		}
		built := strings.Contains(config, "\n"+row.config+"=")
		if row.config != "" && built && !strings.Contains(row.reason, "off at boot") && !strings.Contains(row.reason, "no module") {
			return row.config + " is set"
		}
		return ""
	}
	return "no row of allowed gives a reason"
}

// TestSince cross-checks: a kernel not older than a gate's release has it, or we know why not.
func TestSince(t *testing.T) {
	facts, err := Facts()
	if err != nil {
		t.Fatal(err)
	}
	config := kernelConfig(facts.Release)
	for _, f := range Features() {
		err := f.Check()
		if kind(err) != lacking || facts.Version.Less(f.Since) {
			continue
		}
		if why := unexplained(f, err, config); why != "" {
			t.Errorf("%s has been there since %v, this is %v, but: %v (%s)", f.Name, f.Since, facts.Version, err, why)
		} else {
			t.Logf("explained: %v", err)
		}
	}
}

func TestUnexplained(t *testing.T) {
	const built, not = "\nCONFIG_TIME_NS=y\nCONFIG_OVERLAY_FS=m\n", "\n# CONFIG_TIME_NS is not set\n"
	for _, tt := range []struct {
		name    string
		feature *Feature
		cause   Cause
		config  string
		want    bool // unexplained
	}{
		{name: "configured away", feature: TimeNamespace, cause: NotBuilt, config: not},
		{name: "configuration unknown", feature: TimeNamespace, cause: NotBuilt},
		{name: "configured, still absent", feature: TimeNamespace, cause: NotBuilt, config: built, want: true},
		{name: "module not loaded", feature: Overlay, cause: NotBuilt, config: built},
		{name: "no row", feature: Openat2, cause: NotBuilt, want: true},
		{name: "wrong cause", feature: Swap, cause: Policy, want: true},
		{name: "no privilege", feature: Openat2, cause: NoPrivilege},
	} {
		if why := unexplained(tt.feature, absent(tt.cause, "test"), tt.config); (why != "") != tt.want {
			t.Errorf("%s: %q", tt.name, why)
		}
	}
}

// kernelConfig returns the configuration of the running kernel, or "".
func kernelConfig(release string) string {
	if text, err := os.ReadFile("/boot/config-" + release); err == nil {
		return string(text)
	}
	packed, err := os.ReadFile("/proc/config.gz")
	if err != nil {
		return ""
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return ""
	}
	text, err := io.ReadAll(r)
	if err != nil {
		return ""
	}
	return string(text)
}
