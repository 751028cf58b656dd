package guarantee

var memoryRows = []Guarantee{}
