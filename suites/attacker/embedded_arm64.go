//go:build embedded

package attacker

import _ "embed" // for the file

//go:embed attacker-arm64
var small []byte
