package guarantee

// What a container's processes are to themselves.
var processLifeRows = []Guarantee{}
