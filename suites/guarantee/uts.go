package guarantee

var uts = []Guarantee{}
