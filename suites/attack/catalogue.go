package attack

import "slices"

// Find returns the attack of a name.
func Find(name string) (Attack, bool) {
	for _, group := range [][]Attack{
		fsAttacks,
		processAttacks,
		userAttacks,
		ipcAttacks,
		netAttacks,
		utsAttacks,
		timeAttacks,
		deviceAttacks,
		kernelAttacks,
		kernelCgroupAttacks,
		syscallAttacks,
		filterAttacks,
		cpuAttacks,
		memoryAttacks,
		pidsAttacks,
		ioAttacks,
		abstractAttacks,
		leakAttacks,
		lifecycleAttacks,
	} {
		if i := slices.IndexFunc(group, func(a Attack) bool { return a.Name == name }); i >= 0 {
			return group[i], true
		}
	}
	return Attack{}, false
}
