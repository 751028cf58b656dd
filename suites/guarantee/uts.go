package guarantee

var utsRows = []Guarantee{}
