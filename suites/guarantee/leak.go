package guarantee

var leakRows = []Guarantee{}
