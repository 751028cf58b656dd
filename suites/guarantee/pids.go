package guarantee

var pidsRows = []Guarantee{}
