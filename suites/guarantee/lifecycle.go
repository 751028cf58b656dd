package guarantee

var lifecycleRows = []Guarantee{}
