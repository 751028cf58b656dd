package guarantee

var abstractRows = []Guarantee{}
