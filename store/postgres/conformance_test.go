package postgres

import (
	"testing"

	"github.com/lanyard-id/lanyard/authenticators/smartcard"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
	"github.com/lanyard-id/lanyard/store/conformance"
)

// holding returns a registry that holds doc, whose cards are of issuer.
func holding(t *testing.T, doc directory.Document, issuer string) *Store {
	t.Helper()
	s := open(t)
	if err := s.Load(t.Context(), doc, issuer); err != nil {
		t.Fatal(err)
	}
	return s
}

// deaf returns s when it no longer hears what changes.
func deaf(t *testing.T, s *Store) *Store {
	t.Helper()
	s.stop()
	if s.feed.fresh() {
		t.Fatal("the feed has ended and is fresh")
	}
	return s
}

func TestStore(t *testing.T) {
	for name, with := range map[string]func(*testing.T, *Store) *Store{
		"remembered": listening,
		"asked":      deaf,
	} {
		t.Run(name, func(t *testing.T) {
			open := func(t *testing.T, d directory.Document, issuer string) *Store { return with(t, holding(t, d, issuer)) }
			conformance.People(t, func(t *testing.T, d directory.Document) idp.People { return open(t, d, "") })
			conformance.Clients(t, func(t *testing.T, d directory.Document) idp.Clients { return open(t, d, "") })
			conformance.LastRoles(t, func(t *testing.T, d directory.Document) idp.LastRoles { return open(t, d, "") })
			conformance.Notices(t, func(t *testing.T, d directory.Document) idp.Notices { return open(t, d, "") })
			conformance.Cards(t, func(t *testing.T, d directory.Document, i string) smartcard.Cards { return open(t, d, i) })
			conformance.Series(t, func(t *testing.T, d directory.Document) smartcard.Series { return open(t, d, "") })
		})
	}
}
