package memory

import (
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

func aDirectory(cards ...directory.Card) directory.Document {
	return directory.Document{People: []directory.Person{{UID: "555000000101", Cards: cards}}}
}

func aCard(serial string) directory.Card {
	return directory.Card{Serial: serial, Series: 9, State: "active", Registered: true, TriesLeft: 3}
}

func TestNew(t *testing.T) {
	for rule, doc := range map[string]directory.Document{
		"own rule: a uid is one person's":      {People: []directory.Person{{UID: "1"}, {UID: "1"}}},
		"own rule: an id is one client's":      {Clients: []directory.Client{{ID: "a"}, {ID: "a"}}},
		"own rule: a serial is one card's":     aDirectory(aCard("0101"), aCard("101")),
		"own rule: a serial is a number":       aDirectory(aCard("x")),
		"own rule: a card without one is none": aDirectory(aCard("")),
	} {
		t.Run(rule, func(t *testing.T) {
			if _, err := New(doc, Options{}); err == nil {
				t.Error("New accepts it")
			}
		})
	}
}

func TestSetCardTries(t *testing.T) {
	failed := errors.New("disk full")
	for _, tt := range []struct {
		rule   string
		serial string
		tries  int
		save   error
		want   error // nil: done
		left   int
	}{
		{"own rule: tries are kept", "0000101", 1, nil, nil, 1},
		{"own rule: the certificate's serial names the card as well", "0101", 0, nil, nil, 0},
		{"own rule: what cannot be kept does not change", "0101", 1, failed, failed, 3},
		{"own rule: an unknown card is not found", "0102", 1, nil, idp.ErrNotFound, 3},
		{"own rule: no card is not found", "", 1, nil, idp.ErrNotFound, 3},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			var saved directory.Document
			s, err := New(aDirectory(aCard("0000101")), Options{Save: func(d directory.Document) error {
				saved = d
				return tt.save
			}})
			if err != nil {
				t.Fatal(err)
			}
			if err := s.SetCardTries(tt.serial, tt.tries); !errors.Is(err, tt.want) {
				t.Errorf("SetCardTries: %v, want %v", err, tt.want)
			}
			now := s.Document()
			if left := now.People[0].Cards[0].TriesLeft; left != tt.left {
				t.Errorf("%d tries left, want %d", left, tt.left)
			}
			if tt.want == nil && !reflect.DeepEqual(saved, now) {
				t.Errorf("saved %+v, want %+v", saved, now)
			}
		})
	}
	t.Run("own rule: a card cannot count every number", func(t *testing.T) {
		s := open(t, aDirectory(aCard("0101")), "")
		if s.SetCardTries("0101", -1) == nil || s.SetCardTries("0101", 16) == nil {
			t.Error("SetCardTries accepts it")
		}
	})
}

func TestDocument(t *testing.T) {
	t.Run("own rule: neither what came in nor what went out changes the registry", func(t *testing.T) {
		in := aDirectory(aCard("0101"))
		s := open(t, in, "")
		in.People[0].Cards[0].Series = 1
		s.Document().People[0].Cards[0].Series = 2
		if series := s.Document().People[0].Cards[0].Series; series != 9 {
			t.Errorf("series %d, want 9", series)
		}
	})
	t.Run("own rule: of changes at once none is lost, and the last is saved", func(t *testing.T) {
		const n = 16
		var cards []directory.Card
		for i := range n {
			cards = append(cards, aCard(fmt.Sprintf("%X", 0x100+i)))
		}
		var saved directory.Document
		s, err := New(aDirectory(cards...), Options{Save: func(d directory.Document) error {
			saved = d
			return nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for _, c := range cards {
			wg.Go(func() {
				if err := s.SetCardTries(c.Serial, 1); err != nil {
					t.Error(err)
				}
			})
			wg.Go(func() { s.Document() })
		}
		wg.Wait()
		for _, c := range saved.People[0].Cards {
			if c.TriesLeft != 1 {
				t.Errorf("card %s has %d tries left, want 1", c.Serial, c.TriesLeft)
			}
		}
	})
}

func TestJournalIsBounded(t *testing.T) {
	noon := time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)
	t.Run("own rule: the last 10,000 events are remembered, newest last", func(t *testing.T) {
		s := open(t, directory.Document{}, "")
		for i := range 10_005 {
			if err := s.Record(t.Context(), idp.Event{Request: fmt.Sprint(i)}); err != nil {
				t.Fatal(err)
			}
		}
		e := s.Events()
		if len(e) != 10_000 || e[0].Request != "5" || e[len(e)-1].Request != "10004" {
			t.Errorf("%d events from %s to %s", len(e), e[0].Request, e[len(e)-1].Request)
		}
	})
	t.Run("own rule: fences of yesterday are forgotten", func(t *testing.T) {
		s := open(t, directory.Document{}, "")
		for i := range 100 {
			at := noon.Add(time.Duration(i) * time.Hour)
			if err := s.Record(t.Context(), idp.Event{At: at}, idp.Fence{Kind: "code", Hash: fmt.Sprint(i)}); err != nil {
				t.Fatal(err)
			}
		}
		if n := len(s.journal.fences); n != 14 || len(s.journal.raised) != n {
			t.Errorf("%d fences stand, %d in order, want 14", n, len(s.journal.raised))
		}
	})
}
