package guarantee

var timeRows = []Guarantee{}
