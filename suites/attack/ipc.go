package attack

var ipcAttacks = []Attack{}
