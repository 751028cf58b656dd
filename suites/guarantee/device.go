package guarantee

var device = []Guarantee{}
