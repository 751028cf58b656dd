package attack

var syscallAttacks = []Attack{}
