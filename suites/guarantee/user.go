package guarantee

var user = []Guarantee{}
