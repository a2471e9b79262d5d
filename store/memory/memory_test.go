package memory

import (
	"errors"
	"testing"

	"github.com/lanyard-id/lanyard/authenticators/smartcard"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
	"github.com/lanyard-id/lanyard/store/conformance"
)

func open(t *testing.T, doc directory.Document, issuer string) *Store {
	t.Helper()
	s, err := New(doc, Options{CardIssuer: issuer})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) {
	conformance.People(t, func(t *testing.T, d directory.Document) idp.People { return open(t, d, "") })
	conformance.Clients(t, func(t *testing.T, d directory.Document) idp.Clients { return open(t, d, "") })
	conformance.LastRoles(t, func(t *testing.T, d directory.Document) idp.LastRoles { return open(t, d, "") })
	conformance.Notices(t, func(t *testing.T, d directory.Document) idp.Notices { return open(t, d, "") })
	conformance.Cards(t, func(t *testing.T, d directory.Document, i string) smartcard.Cards { return open(t, d, i) })
	conformance.Rules(t, func(t *testing.T, d directory.Document) smartcard.Rules { return open(t, d, "") })
	conformance.Holdings(t, func(t *testing.T, d directory.Document) conformance.Opened {
		s := open(t, d, "")
		return conformance.Opened{HoldingStore: s, Events: s.Events, Mails: s.Mails}
	})
	conformance.Logouts(t, func(t *testing.T, d directory.Document) (conformance.LogoutStore, func() []idp.Event) {
		s := open(t, d, "")
		return s, s.Events
	})
	conformance.Registration(t, func(t *testing.T, d directory.Document, i string) conformance.Registered {
		s := open(t, d, i)
		return conformance.Registered{RegistrationStore: s, Events: s.Events, Mails: s.Mails}
	})
	conformance.Journal(t, func(t *testing.T) (conformance.JournalStore, func() []idp.Event) {
		s := open(t, directory.Document{}, "")
		return s, s.Events
	})
}

func TestSharedEmail(t *testing.T) {
	t.Run("own rule: an e-mail that several people have finds none of them, and a document may hold it", func(t *testing.T) {
		people := []directory.Person{{UID: "555000000101", Email: "ward@x.example"}, {UID: "555000000102", Email: "Ward@x.example"}, {UID: "555000000103", Email: "own@x.example"}}
		s, err := New(directory.Document{People: people}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.PersonByEmail(t.Context(), "ward@x.example"); !errors.Is(err, idp.ErrNotFound) {
			t.Errorf("PersonByEmail: %v, want %v", err, idp.ErrNotFound)
		}
		if p, err := s.PersonByEmail(t.Context(), "OWN@x.example"); err != nil || p.UID != "555000000103" {
			t.Errorf("PersonByEmail: %s, %v", p.UID, err)
		}
	})
}
