// Package cleanup undoes, in reverse order, what has been done.
//
// It is the only undo idiom of cellwall. Do not use it for what a plain defer in the same
// function does as well: it is for values that outlive the function that made them.
package cleanup

import (
	"errors"
	"fmt"
	"sync"
)

// Stack is a list of actions that Close runs, last in first out. The zero value is empty and
// ready. A Stack is safe for concurrent use and must not be copied.
type Stack struct {
	mu      sync.Mutex
	actions []action
}

type action struct {
	name string
	undo func() error
}

// Push adds an action. The name completes "cannot ...": "remove cgroup".
func (s *Stack) Push(name string, undo func() error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.actions = append(s.actions, action{name, undo})
}

// Close runs and forgets all actions, so a second call does nothing. Every action runs, also
// after another has failed; the errors are joined, each with the name of its action.
func (s *Stack) Close() error {
	var errs []error
	for {
		a, ok := s.pop()
		if !ok {
			return errors.Join(errs...)
		}
		if err := a.undo(); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", a.name, err))
		}
	}
}

func (s *Stack) pop() (action, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.actions) == 0 {
		return action{}, false
	}
	a := s.actions[len(s.actions)-1]
	s.actions = s.actions[:len(s.actions)-1]
	return a, true
}

// Forget drops all actions without running them: what they would undo has found a new owner.
func (s *Stack) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.actions = nil
}

// OnError closes the stack if *err is not nil and joins what fails meanwhile to it. It is made
// for a deferred call in a constructor with a named error result.
func (s *Stack) OnError(err *error) {
	if *err != nil {
		*err = errors.Join(*err, s.Close())
	}
}
