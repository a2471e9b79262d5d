package conformance

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/idp"
)

// noon is when the suites take place.
var noon = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

// event returns an event that request tells from others.
func event(request string) idp.Event {
	return idp.Event{At: noon, Kind: idp.TokenIssued, Request: request}
}

// JournalStore is a journal with the fences that it raises.
type JournalStore interface {
	idp.Journal
	idp.Fences
}

// Journal checks one journal. open returns an empty one, and what reads its
// events back, oldest first.
func Journal(t *testing.T, open func(t *testing.T) (j JournalStore, events func() []idp.Event)) {
	record := func(t *testing.T, j JournalStore, request string, want error, fences ...idp.Fence) {
		t.Helper()
		if err := j.Record(t.Context(), event(request), fences...); !errors.Is(err, want) {
			t.Fatalf("Record %s: %v, want %v", request, err, want)
		}
	}
	holds := func(t *testing.T, events func() []idp.Event, want ...string) {
		t.Helper()
		var got []string
		for _, e := range events() {
			got = append(got, e.Request)
		}
		if !slices.Equal(got, want) {
			t.Errorf("the journal holds %q, want %q", got, want)
		}
	}
	code, other := idp.Fence{Kind: "code", Hash: "h"}, idp.Fence{Kind: "code", Hash: "h2"}

	t.Run("own rule: what happened is kept, in order", func(t *testing.T) {
		j, events := open(t)
		whole := idp.Event{
			At: noon, Kind: idp.SignedIn, Request: "a", Subject: "u", Client: "c", Session: "s", Family: "f",
			Method: "FIDO2", Level: 3, ACR: idp.AAL3FIDO2, Authenticator: "k", Role: "r", Reason: "why", Flag: "odd",
		}
		if err := j.Record(t.Context(), whole); err != nil {
			t.Fatal(err)
		}
		record(t, j, "b", nil)
		holds(t, events, "a", "b")
		if got := events()[0]; !got.At.Equal(whole.At) || withoutTime(got) != withoutTime(whole) {
			t.Errorf("the journal holds %+v, want %+v", got, whole)
		}
	})
	t.Run("own rule: what was used cannot be used again, and nothing is recorded", func(t *testing.T) {
		j, events := open(t)
		record(t, j, "first", nil, code)
		record(t, j, "second", idp.Used{Fence: code}, code)
		holds(t, events, "first")
	})
	t.Run("own rule: one used fence leaves the others of its event down", func(t *testing.T) {
		j, events := open(t)
		record(t, j, "first", nil, code)
		record(t, j, "second", idp.Used{Fence: code}, other, code)
		record(t, j, "third", nil, other)
		holds(t, events, "first", "third")
	})
	t.Run("own rule: a fence twice in one event was used", func(t *testing.T) {
		j, events := open(t)
		record(t, j, "first", idp.ErrUsed, code, code)
		record(t, j, "second", nil, code)
		holds(t, events, "second")
	})
	t.Run("own rule: kind and hash together make a fence", func(t *testing.T) {
		j, _ := open(t)
		record(t, j, "first", nil, code)
		record(t, j, "second", nil, idp.Fence{Kind: "challenge", Hash: code.Hash}, other)
	})
	t.Run("own rule: a fence stands as long as a session can live", func(t *testing.T) {
		j, _ := open(t)
		record(t, j, "first", nil, code)
		late := event("late")
		late.At = noon.Add(12 * time.Hour)
		if err := j.Record(t.Context(), late, code); !errors.Is(err, idp.ErrUsed) {
			t.Errorf("Record: %v, want %v", err, idp.ErrUsed)
		}
	})
	t.Run("own rule: what has ended may end again, and stays ended", func(t *testing.T) {
		j, events := open(t)
		ended := idp.Fence{Kind: idp.SessionFence, Hash: "s"}
		stands := func(want bool, f idp.Fence) {
			t.Helper()
			if got, err := j.Stands(t.Context(), f); err != nil || got != want {
				t.Errorf("Stands(%v) = %v, %v; want %v", f, got, err, want)
			}
		}
		stands(false, ended)
		record(t, j, "first", nil, ended, ended)
		record(t, j, "second", nil, ended, code)
		stands(true, ended)
		stands(false, idp.Fence{Kind: idp.FamilyFence, Hash: "s"})
		record(t, j, "third", idp.Used{Fence: code}, code, idp.Fence{Kind: idp.FamilyFence, Hash: "f"})
		stands(false, idp.Fence{Kind: idp.FamilyFence, Hash: "f"})
		holds(t, events, "first", "second")
	})
	t.Run("RFC 6749 §4.1.2: of many users at once one wins", func(t *testing.T) {
		j, events := open(t)
		won := atOnce(func(n int) bool {
			err := j.Record(t.Context(), event(fmt.Sprint(n)), idp.Fence{Kind: "jti", Hash: fmt.Sprint(n)}, code)
			if err != nil && !errors.Is(err, idp.ErrUsed) {
				t.Errorf("Record: %v, want %v", err, idp.ErrUsed)
			}
			return err == nil
		})
		if n := len(events()); won != 1 || n != 1 {
			t.Errorf("%d won and %d events are recorded, want 1", won, n)
		}
	})
	t.Run("own rule: nothing that happens at once is lost", func(t *testing.T) {
		j, events := open(t)
		atOnce(func(n int) bool {
			err := j.Record(t.Context(), event(fmt.Sprint(n)), idp.Fence{Kind: "code", Hash: fmt.Sprint(n)})
			if err != nil {
				t.Errorf("Record: %v", err)
			}
			return err == nil
		})
		if n := len(events()); n != racers {
			t.Errorf("%d events are recorded, want %d", n, racers)
		}
	})
}

func withoutTime(e idp.Event) idp.Event {
	e.At = time.Time{}
	return e
}
