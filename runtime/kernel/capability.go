package kernel

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// capabilities are the names of capabilities(7) in the order of linux/capability.h, so that
// the index is the number.
var capabilities = [...]string{
	0:  "CAP_CHOWN",
	1:  "CAP_DAC_OVERRIDE",
	2:  "CAP_DAC_READ_SEARCH",
	3:  "CAP_FOWNER",
	4:  "CAP_FSETID",
	5:  "CAP_KILL",
	6:  "CAP_SETGID",
	7:  "CAP_SETUID",
	8:  "CAP_SETPCAP",
	9:  "CAP_LINUX_IMMUTABLE",
	10: "CAP_NET_BIND_SERVICE",
	11: "CAP_NET_BROADCAST",
	12: "CAP_NET_ADMIN",
	13: "CAP_NET_RAW",
	14: "CAP_IPC_LOCK",
	15: "CAP_IPC_OWNER",
	16: "CAP_SYS_MODULE",
	17: "CAP_SYS_RAWIO",
	18: "CAP_SYS_CHROOT",
	19: "CAP_SYS_PTRACE",
	20: "CAP_SYS_PACCT",
	21: "CAP_SYS_ADMIN",
	22: "CAP_SYS_BOOT",
	23: "CAP_SYS_NICE",
	24: "CAP_SYS_RESOURCE",
	25: "CAP_SYS_TIME",
	26: "CAP_SYS_TTY_CONFIG",
	27: "CAP_MKNOD",
	28: "CAP_LEASE",
	29: "CAP_AUDIT_WRITE",
	30: "CAP_AUDIT_CONTROL",
	31: "CAP_SETFCAP",
	32: "CAP_MAC_OVERRIDE",
	33: "CAP_MAC_ADMIN",
	34: "CAP_SYSLOG",
	35: "CAP_WAKE_ALARM",
	36: "CAP_BLOCK_SUSPEND",
	37: "CAP_AUDIT_READ",
	38: "CAP_PERFMON",            // 5.8
	39: "CAP_BPF",                // 5.8
	40: "CAP_CHECKPOINT_RESTORE", // 5.9
}

// CapabilityNumber returns the number of a capability by its name, "CAP_CHOWN". Case counts:
// the OCI runtime-spec wants capitals.
func CapabilityNumber(name string) (int, bool) {
	for n, known := range capabilities {
		if known == name {
			return n, true
		}
	}
	return 0, false
}

// CapabilityName returns the name of a capability by its number. One that is newer than this
// table is named by its number, "CAP_41".
func CapabilityName(n int) string {
	if n >= 0 && n < len(capabilities) {
		return capabilities[n]
	}
	return "CAP_" + strconv.Itoa(n)
}

// Capabilities returns the names of all capabilities of this table, in the order of their numbers.
func Capabilities() []string { return slices.Clone(capabilities[:]) }

// LastCapability returns the highest number that the running kernel knows, 40 since 5.9.
func LastCapability() (int, error) {
	return readInt("/proc/sys/kernel/cap_last_cap")
}

// HeldCapabilities returns the names of what the calling thread both has permitted and may
// give to a program that it executes: its bounding set and its permitted set together, in
// the order of their numbers.
func HeldCapabilities() ([]string, error) {
	status, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		return nil, err
	}
	return heldIn(string(status))
}

func heldIn(status string) ([]string, error) {
	permitted, err := capabilitySet(status, "CapPrm")
	if err != nil {
		return nil, err
	}
	bounding, err := capabilitySet(status, "CapBnd")
	if err != nil {
		return nil, err
	}
	return capabilityNames(permitted & bounding), nil
}

func capabilityNames(set uint64) []string {
	var names []string
	for n := range 64 {
		if set&(1<<n) != 0 {
			names = append(names, CapabilityName(n))
		}
	}
	return names
}

// capabilitySet reads one of the hexadecimal sets of /proc/PID/status, proc_pid_status(5).
func capabilitySet(status, field string) (uint64, error) {
	text, ok := statusField(status, field)
	if !ok {
		return 0, fmt.Errorf("read capabilities: no %s in /proc/thread-self/status", field)
	}
	set, err := strconv.ParseUint(text, 16, 64)
	if err != nil {
		return 0, fmt.Errorf("read capabilities: %s: %w", field, err)
	}
	return set, nil
}

// statusField returns the value of a "Name:\tvalue" line.
func statusField(status, field string) (string, bool) {
	for line := range strings.Lines(status) {
		if name, value, ok := strings.Cut(line, ":"); ok && name == field {
			return strings.TrimSpace(value), true
		}
	}
	return "", false
}
