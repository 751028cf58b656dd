package guarantee

var io = []Guarantee{}
