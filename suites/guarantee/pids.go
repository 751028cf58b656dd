package guarantee

var pids = []Guarantee{}
