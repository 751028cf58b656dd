package guarantee

var ipc = []Guarantee{}
