package guarantee

var abstract = []Guarantee{}
