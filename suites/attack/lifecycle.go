package attack

var lifecycleAttacks = []Attack{}
