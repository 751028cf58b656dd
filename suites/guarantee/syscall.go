package guarantee

var syscall = []Guarantee{}
