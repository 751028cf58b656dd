package cleanup_test

import (
	"errors"
	"slices"
	"testing"

	"cellwall/runtime/cleanup"
)

func TestCloseRunsLastInFirstOutOnce(t *testing.T) {
	var got []string
	var s cleanup.Stack
	for _, name := range []string{"a", "b", "c"} {
		s.Push(name, func() error { got = append(got, name); return nil })
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"c", "b", "a"}; !slices.Equal(got, want) {
		t.Errorf("ran %v, want %v", got, want)
	}
}

func TestCloseJoinsErrorsAndRunsTheRest(t *testing.T) {
	first, second := errors.New("first"), errors.New("second")
	ran := false
	var s cleanup.Stack
	s.Push("last", func() error { ran = true; return nil })
	s.Push("two", func() error { return second })
	s.Push("one", func() error { return first })
	err := s.Close()
	if !errors.Is(err, first) || !errors.Is(err, second) {
		t.Errorf("got %v, want both errors", err)
	}
	if !ran {
		t.Error("an action after a failed one did not run")
	}
}

func TestOnErrorUndoesOnlyAfterAnError(t *testing.T) {
	undone := 0
	build := func(fail error) (err error) {
		var s cleanup.Stack
		defer s.OnError(&err)
		s.Push("undo", func() error { undone++; return nil })
		return fail
	}
	if err := build(nil); err != nil || undone != 0 {
		t.Errorf("success: err %v, undone %d", err, undone)
	}
	failed := errors.New("failed")
	if err := build(failed); !errors.Is(err, failed) || undone != 1 {
		t.Errorf("failure: err %v, undone %d", err, undone)
	}
}

func TestForgetRunsNothing(t *testing.T) {
	var s cleanup.Stack
	s.Push("undo", func() error { return errors.New("ran") })
	s.Forget()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
