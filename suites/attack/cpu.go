package attack

var cpuAttacks = []Attack{}
