package attack

var memoryAttacks = []Attack{}
