package guarantee

var memory = []Guarantee{}
