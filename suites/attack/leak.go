package attack

var leakAttacks = []Attack{}
