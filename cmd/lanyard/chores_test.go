package main

import (
	"context"
	"errors"
	"strings"
	"testing"
)

func TestUnharmed(t *testing.T) {
	t.Run("own rule: a chore that panics is an error, and the server goes on", func(t *testing.T) {
		err := unharmed(t.Context(), func(context.Context) error { var none []int; _ = none[len(none)]; return nil })
		if err == nil || !strings.Contains(err.Error(), "index out of range") {
			t.Errorf("unharmed = %v", err)
		}
		no := errors.New("no")
		if err := unharmed(t.Context(), func(context.Context) error { return no }); !errors.Is(err, no) {
			t.Errorf("unharmed = %v, want %v", err, no)
		}
	})
}
