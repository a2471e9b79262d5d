package postgres

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/migrations"
)

const asha = "555000000101"

// migratedTo returns the URL of a database with the schema of that version.
func migratedTo(t *testing.T, version int64) string {
	t.Helper()
	url := newDatabase(t, "")
	conf, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	db := stdlib.OpenDB(*conf)
	defer func() { _ = db.Close() }()
	provider, err := goose.NewProvider(goose.DialectPostgres, db, migrations.Files, goose.WithDisableGlobalRegistry(true), goose.WithSlog(silent))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.UpTo(t.Context(), version); err != nil {
		t.Fatal(err)
	}
	return url
}

// byEmail fails the test unless that address is of uid; "" is nobody.
func byEmail(t *testing.T, s *Store, email, uid string) {
	t.Helper()
	p, err := s.PersonByEmail(t.Context(), email)
	if uid == "" && !errors.Is(err, idp.ErrNotFound) || uid != "" && err != nil || p.UID != uid {
		t.Errorf("PersonByEmail(%q) = %q, %v; want %q", email, p.UID, err, uid)
	}
}

func anActOf(kind idp.Kind, request string) idp.Act {
	return idp.Act{Event: idp.Event{At: time.Now(), Kind: kind, Request: request, Subject: asha}}
}

func TestEmails(t *testing.T) {
	t.Run("own rule: addresses of a registry that was there before find those alone who need not share them", func(t *testing.T) {
		url := migratedTo(t, 2)
		s := openAt(t, url)
		exec(t, s, `INSERT INTO people (uid, email, profile) VALUES
			('000000000001', ' Own@x.example', 'verified'), ('000000000002', 'both@x.example', 'verified'),
			('000000000003', 'BOTH@x.example', 'verified'), ('000000000004', '', 'verified'), ('000000000005', ' ', 'verified')`)
		if err := Migrate(t.Context(), url, silent); err != nil {
			t.Fatal(err)
		}
		byEmail(t, s, "own@X.example", "000000000001")
		byEmail(t, s, "both@x.example", "")
		if err := s.SaveEmail(t.Context(), "000000000001", "both@x.example", anActOf(idp.EmailChanged, "a")); !errors.Is(err, idp.ErrTaken) {
			t.Errorf("a third person has it too: %v", err)
		}
		// Who keeps it gets it when the other has gone to another.
		exec(t, s, `UPDATE people SET email = email WHERE uid = '000000000002'`)
		byEmail(t, s, "both@x.example", "")
		if err := s.SaveEmail(t.Context(), "000000000003", "new@x.example", anActOf(idp.EmailChanged, "b")); err != nil {
			t.Fatal(err)
		}
		exec(t, s, `UPDATE people SET email = email WHERE uid = '000000000002'`)
		byEmail(t, s, "both@x.example", "000000000002")
		byEmail(t, s, "new@x.example", "000000000003")
	})
	t.Run("own rule: what the release before writes is found, and is one person's", func(t *testing.T) {
		s := open(t)
		exec(t, s, `INSERT INTO people (uid, email, profile) VALUES ('000000000001', 'A@x.example', 'verified')`)
		byEmail(t, s, "a@x.example", "000000000001")
		if _, err := s.pool.Exec(t.Context(), `INSERT INTO people (uid, email, profile) VALUES ('000000000002', 'a@X.example', 'verified')`); err == nil {
			t.Error("two people have it")
		}
		exec(t, s, `UPDATE people SET email = '' WHERE uid = '000000000001'`)
		byEmail(t, s, "a@x.example", "")
		exec(t, s, `INSERT INTO people (uid, email, profile) VALUES ('000000000002', 'a@X.example', 'verified')`)
		exec(t, s, `DELETE FROM people WHERE uid = '000000000002'`)
		byEmail(t, s, "a@x.example", "")
	})
	t.Run("own rule: the schema and the program agree on what is one address", func(t *testing.T) {
		s := open(t)
		for _, email := range []string{"", " ", "a@b", " A@B ", "\tZz@É.example\r\n", "İ@x", "a b", "\u00a0a"} {
			var key *string
			if err := s.pool.QueryRow(t.Context(), "SELECT email_key($1)", email).Scan(&key); err != nil {
				t.Fatal(err)
			}
			if want := idp.EmailKey(email); key == nil && want != "" || key != nil && *key != want {
				t.Errorf("%q is %v, and %q to the program", email, key, want)
			}
		}
	})
}

func TestOtherServers(t *testing.T) {
	url := aDatabase(t)
	a := openAt(t, url)
	if err := a.Load(t.Context(), document(t, everything), "A1B2"); err != nil {
		t.Fatal(err)
	}
	b := listening(t, openAt(t, url))
	signedIn := time.Now()
	// ends waits until a session that was made with that authenticator is worth
	// nothing on the other server too.
	ends := func(t *testing.T, authenticator string, how func() error) {
		t.Helper()
		stands := func() bool {
			p, err := b.Person(t.Context(), asha)
			return err != nil || p.Stands(signedIn, authenticator)
		}
		if !stands() {
			t.Fatalf("what %s made does not stand", authenticator)
		}
		if err := how(); err != nil {
			t.Fatal(err)
		}
		if p, err := a.Person(t.Context(), asha); err != nil || p.Stands(signedIn, authenticator) {
			t.Errorf("it stands on the server itself: %v", err)
		}
		eventually(t, soon, "it ends on the other server", func() bool { return !stands() })
	}
	t.Run("A10: a suspended authenticator ends its sessions on every server", func(t *testing.T) {
		ends(t, "passkey:k", func() error {
			h, err := a.ByHandle(t.Context(), authenticators.KeyKind, "h")
			return errors.Join(err, a.StopAuthenticator(t.Context(), h.Subject, h.ID, anActOf(idp.AuthenticatorSuspended, "suspend")))
		})
	})
	t.Run("A10: a blocked card ends its sessions on every server", func(t *testing.T) {
		ends(t, "card:0101", func() error {
			exec(t, a, `UPDATE cards SET state = 'blocked' WHERE serial = '0101'`)
			a.people.drop(asha) // which hears it in an instant
			return nil
		})
	})
	t.Run("own rule: a use makes no server forget the person", func(t *testing.T) {
		k := authenticators.Authenticator{ID: "k9", Subject: asha, Kind: authenticators.KeyKind, Handle: "h9", Method: authenticators.FIDO2,
			Level: 3, State: authenticators.Active, AddedAt: time.Now()}
		if err := a.AddAuthenticator(t.Context(), k, anActOf(idp.AuthenticatorAdded, "add")); err != nil {
			t.Fatal(err)
		}
		eventually(t, soon, "it is held on the other server", func() bool {
			p, err := b.Person(t.Context(), asha)
			return err == nil && p.Holds["passkey:k9"]
		})
		if err := a.Record(t.Context(), idp.Event{At: time.Now(), Kind: idp.SignedIn, Use: &authenticators.Use{ID: "k9"}}); err != nil {
			t.Fatal(err)
		}
		family := idp.Fence{Kind: idp.FamilyFence, Hash: "after"}
		end(t, a, family)
		eventually(t, soon, "what came after is heard", func() bool { known, _ := b.ended.has(family); return known })
		b.people.mu.RLock()
		_, held := b.people.held[asha]
		b.people.mu.RUnlock()
		if !held {
			t.Error("the other server has forgotten them")
		}
	})
	t.Run("S6: who signs out of everything has on every server", func(t *testing.T) {
		ends(t, "", func() error { return a.SignOut(t.Context(), asha, time.Now(), anActOf(idp.SignedOutAll, "out")) })
	})
}

func TestChange(t *testing.T) {
	s := holding(t, document(t, everything), "A1B2")
	t.Run("own rule: changes and events that come at once make one whole chain", func(t *testing.T) {
		done := make(chan error)
		for range 8 {
			go func() {
				done <- s.SignOut(context.WithoutCancel(t.Context()), asha, time.Now(), anActOf(idp.SignedOutAll, "out"))
			}()
			go func() { done <- s.Record(context.WithoutCancel(t.Context()), anEvent("e")) }()
			go func() {
				if err := s.RemoveAuthenticator(context.WithoutCancel(t.Context()), asha, "none", anActOf(idp.AuthenticatorRemoved, "no")); !errors.Is(err, idp.ErrNotFound) {
					done <- err
					return
				}
				done <- nil
			}()
		}
		for range 24 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		events := eventsOf(t, s)
		if len(events) != 16 || slices.ContainsFunc(events, func(e idp.Event) bool { return e.Request == "no" }) {
			t.Errorf("%d events, want 16 and none that failed", len(events))
		}
	})
	t.Run("own rule: a mark that is no JSON harms nobody else's sign-in", func(t *testing.T) {
		err := s.Record(t.Context(), idp.Event{At: time.Now(), Use: &authenticators.Use{ID: "k", Mark: []byte("{")}})
		if err == nil || errors.Is(err, idp.ErrUnavailable) || strings.Contains(err.Error(), "{") {
			t.Errorf("Record: %v", err)
		}
	})
	t.Run("own rule: no mail without a key to seal it", func(t *testing.T) {
		open := openAt(t, aDatabase(t), func(c *Config) { c.Sealer = nil })
		act := anActOf(idp.SignedOutAll, "out")
		act.Mails = []idp.Mail{{To: "a@x.example"}}
		if err := open.SignOut(t.Context(), asha, time.Now(), act); err == nil || strings.Contains(err.Error(), "a@x") {
			t.Errorf("SignOut: %v", err)
		}
	})
}
