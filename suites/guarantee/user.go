package guarantee

var userRows = []Guarantee{}
