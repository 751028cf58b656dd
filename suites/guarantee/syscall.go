package guarantee

var syscallRows = []Guarantee{}
