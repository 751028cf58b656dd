package guarantee

var deviceRows = []Guarantee{}
