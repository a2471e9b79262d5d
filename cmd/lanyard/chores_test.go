package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/store/postgres"
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

func TestTakeDownFences(t *testing.T) {
	url := aDatabase(t)
	var log bytes.Buffer
	by := func(now func() time.Time) *production {
		store, err := postgres.Open(t.Context(), postgres.Config{URL: url, Now: now})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(store.Close)
		return &production{registry: store, url: url, now: now, log: slog.New(slog.NewTextHandler(&log, nil))}
	}
	right := by(time.Now)
	ahead := by(func() time.Time { return time.Now().Add(48 * time.Hour) })
	use := func(code string, at time.Time) error {
		return right.registry.Record(t.Context(), idp.Event{At: at, Kind: idp.TokenIssued}, idp.Fence{Kind: idp.CodeFence, Hash: code})
	}
	long := time.Now().Add(-48 * time.Hour)
	if err := errors.Join(use("young", time.Now()), use("old", long)); err != nil {
		t.Fatal(err)
	}

	t.Run("own rule: a server whose clock is apart takes down no fence, and says so once", func(t *testing.T) {
		for range 2 {
			if err := ahead.takeDownFences(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := use("young", time.Now()); !errors.Is(err, idp.ErrUsed) {
			t.Errorf("a code that was used can be used again: %v", err)
		}
		if n := strings.Count(log.String(), "no fence is taken down"); n != 1 {
			t.Errorf("it was said %d times", n)
		}
	})
	t.Run("own rule: another goes on", func(t *testing.T) {
		if err := right.takeDownFences(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := use("young", time.Now()); !errors.Is(err, idp.ErrUsed) {
			t.Errorf("a code that was used can be used again: %v", err)
		}
		if err := use("old", time.Now()); err != nil {
			t.Errorf("the old fence stands still: %v", err)
		}
	})
}
