package attack

var ioAttacks = []Attack{}
