package guarantee

var cpu = []Guarantee{}
