package attack

var deviceAttacks = []Attack{}
