package guarantee

var kernel = []Guarantee{}
