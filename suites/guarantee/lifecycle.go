package guarantee

var lifecycle = []Guarantee{}
