package attack

var kernelAttacks = []Attack{}
