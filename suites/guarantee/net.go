package guarantee

var netRows = []Guarantee{}
