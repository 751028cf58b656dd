package attack

var netAttacks = []Attack{}
