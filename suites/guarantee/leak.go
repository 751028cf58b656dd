package guarantee

var leak = []Guarantee{}
