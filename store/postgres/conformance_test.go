package postgres

import (
	"encoding/json"
	"testing"

	"github.com/jackc/pgx/v5"

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

// mailsOf returns the mails in the outbox of s.
func mailsOf(t *testing.T, s *Store) []idp.Mail {
	t.Helper()
	rows, err := s.pool.Query(t.Context(), "SELECT id, sealed FROM outbox WHERE attempts = 0 AND next_try_at = at AND sent_at IS NULL")
	if err != nil {
		t.Fatal(err)
	}
	var (
		id     string
		sealed []byte
		mails  []idp.Mail
	)
	if _, err := pgx.ForEachRow(rows, []any{&id, &sealed}, func() error {
		plain, err := s.seal.Unseal(sealed, []byte("mail "+id))
		if err != nil {
			return err
		}
		mails = append(mails, idp.Mail{})
		return json.Unmarshal(plain, &mails[len(mails)-1])
	}); err != nil {
		t.Fatal(err)
	}
	return mails
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
			conformance.Holdings(t, func(t *testing.T, d directory.Document) conformance.Opened {
				s := open(t, d, "")
				return conformance.Opened{HoldingStore: s, Events: func() []idp.Event { return eventsOf(t, s) }, Mails: func() []idp.Mail { return mailsOf(t, s) }}
			})
			conformance.Logouts(t, func(t *testing.T, d directory.Document) (conformance.LogoutStore, func() []idp.Event) {
				s := open(t, d, "")
				return s, func() []idp.Event { return eventsOf(t, s) }
			})
			conformance.Registration(t, func(t *testing.T, d directory.Document, i string) conformance.Registered {
				s := open(t, d, i)
				return conformance.Registered{RegistrationStore: s, Events: func() []idp.Event { return eventsOf(t, s) }, Mails: func() []idp.Mail { return mailsOf(t, s) }}
			})
			conformance.Rules(t, func(t *testing.T, d directory.Document) smartcard.Rules { return open(t, d, "") })
		})
	}
}
