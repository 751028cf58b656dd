package guarantee

var kernelRows = []Guarantee{}
