package guarantee

var ipcRows = []Guarantee{}
