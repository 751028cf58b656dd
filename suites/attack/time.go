package attack

var timeAttacks = []Attack{}
