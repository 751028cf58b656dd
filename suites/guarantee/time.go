package guarantee

var time = []Guarantee{}
