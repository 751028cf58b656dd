package guarantee

var ioRows = []Guarantee{}
