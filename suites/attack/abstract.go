package attack

var abstractAttacks = []Attack{}
