package guarantee

var cpuRows = []Guarantee{}
