package history

import (
	"slices"
	"testing"
)

// TestTheShortCut: what record writes is read without record.Read, which is many times slower.
func TestTheShortCut(t *testing.T) {
	for text, want := range map[string][]float64{
		"[0,0,0.0031,0.0029],[0,3,1e-09,0]]}": {0.0031, 1e-9},
		"[0,0,-5,0]]}":                        {-5},
		"[0,0,1,2],[0,1,3,4]]":                nil,
		"[0,0,1,2], [0,1,3,4]]}":              nil,
		"[0,0,1]]}":                           nil,
		"[0,0,1,2,3]]}":                       nil,
		"[0,0,x,2]]}":                         nil,
		"[0,0,1,2],{}]}":                      nil,
		"[0,0,1,2]],\"more\":1}":              nil,
		"":                                    nil,
	} {
		if got, ok := valuesOf([]byte(text)); ok != (want != nil) || ok && !slices.Equal(got, want) {
			t.Errorf("%q: %v, %v, want %v", text, got, ok, want)
		}
	}
}
