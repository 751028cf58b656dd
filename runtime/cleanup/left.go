package cleanup

import "strings"

// Left is an error: what somebody should have undone and has not, as words for a person. Whoever
// returns it has removed what it names, or has said in another error that it could not.
type Left struct {
	Who  string // "runc"
	What []string
}

func (l *Left) Error() string { return l.Who + " has left " + strings.Join(l.What, ", ") }

// LeftBy returns the error that somebody has left something, nil for nothing.
func LeftBy(who string, what []string) error {
	if len(what) == 0 {
		return nil
	}
	return &Left{Who: who, What: what}
}
