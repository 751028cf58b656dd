package attack

var pidsAttacks = []Attack{}
