//go:build embedded

package attacker

import _ "embed" // for the file

//go:embed attacker-amd64
var small []byte
