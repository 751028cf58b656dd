package kernel

// Features returns every gate, in the order in which tables show them.
func Features() []*Feature {
	return []*Feature{
		MountNamespace, UTSNamespace, IPCNamespace, PIDNamespace, NetworkNamespace,
		CgroupNamespace, TimeNamespace, UserNamespace, UnprivilegedUserNamespace,
		TimeAtExecClone, TimeAtExecUnshare,

		Openat2, MoveMount, Fsopen, MountSetattr, Tmpfs, Devpts, Mqueue, Cgroup2, Overlay,
		ProcInUserNamespace, SysfsInUserNamespace,

		Clone3, CloneClearSighand, CloneIntoCgroup, PidfdOpen, PidfdSendSignal, PidfdGetfd,
		WaitidPidfd, CloseRange, CloseRangeCloexec, I386, X32,

		NoNewPrivs, Seccomp, SeccompTsync, SeccompNotify, LandlockFS, LandlockNet,
		LandlockScope, Keyrings, AppArmor, SELinux, Yama, BPFLSM, LockdownLSM,

		SysVIPC, PosixMQ,

		Loopback, IPv6, Packet, Vsock, Alg, NetlinkAudit, NetlinkRoute,

		BPF, BPFCgroupDevice, BTF, PerfEventOpen,

		IOUring, AIO, LoopDevice,

		Userfaultfd, UserfaultfdUser, Swap, SwapAccounting, HugePages, NUMA, MultipleCPUs,
		Pressure,
	}
}

// Find returns the gate of a name, such as "openat2(2)".
func Find(name string) (*Feature, bool) {
	for _, f := range Features() {
		if f.Name == name {
			return f, true
		}
	}
	return nil, false
}
