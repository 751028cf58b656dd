package attack

var userAttacks = []Attack{}
