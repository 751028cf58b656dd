package attack

var utsAttacks = []Attack{}
