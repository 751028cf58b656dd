package guarantee

var net = []Guarantee{}
