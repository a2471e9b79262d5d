package conformance

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators/smartcard"
	"github.com/lanyard-id/lanyard/idp"
)

// StandingStore keeps logins, sessions and questions, and reads what a page
// begins with at once.
type StandingStore interface {
	idp.LoginStore
	idp.SessionStore
	idp.Standing
	TransactionStore

	// AtDesk is of package api, which no store knows.
	AtDesk(ctx context.Context, id, key, tx string, now time.Time) (idp.Login, *idp.Session, smartcard.Desk, error)
}

// Standing checks one implementation. open returns an empty store.
func Standing(t *testing.T, open func(t *testing.T) StandingStore) {
	now := time.Now()
	l, session, tx := aLogin(now), aSession(now), aTransaction(now)
	s := open(t)
	if err := errors.Join(s.AddLogin(t.Context(), l), s.SaveSession(t.Context(), session), s.Open(t.Context(), tx, now.Add(time.Minute))); err != nil {
		t.Fatal(err)
	}
	for rule, tt := range map[string]struct {
		id, key, tx string
		at          time.Time
		login       bool
		session     bool
		desk        bool
	}{
		"own rule: what is there is read at once":        {"login", "key", "tx", now, true, true, true},
		"own rule: nobody need be there":                 {"login", "", "tx", now, true, false, true},
		"own rule: a session that is not there is none":  {"login", "other", "", now, true, false, false},
		"own rule: a session past its limit is none":     {"login", "key", "tx", session.Expires(), false, false, false},
		"own rule: a question past its end is none":      {"login", "key", "tx", tx.Expires, true, true, false},
		"own rule: a login that is not there is gone":    {"other", "key", "tx", now, false, false, true},
		"own rule: a login that is too old is gone":      {"login", "key", "tx", l.Expires(), false, false, false},
		"own rule: a question that is not there is none": {"login", "key", "other", now, true, true, false},
	} {
		t.Run(rule, func(t *testing.T) {
			check := func(got idp.Login, there *idp.Session, err error) {
				t.Helper()
				if tt.login != (err == nil && reflect.DeepEqual(got, l)) || !tt.login && !errors.Is(err, idp.ErrLoginGone) {
					t.Errorf("login %+v, %v; want it: %v", got, err, tt.login)
				}
				if tt.session != (there != nil && reflect.DeepEqual(*there, session)) || !tt.session && there != nil {
					t.Errorf("session %+v, want it: %v", there, tt.session)
				}
			}
			got, there, err := s.Standing(t.Context(), tt.id, tt.key, tt.at)
			check(got, there, err)
			got, there, d, err := s.AtDesk(t.Context(), tt.id, tt.key, tt.tx, tt.at)
			check(got, there, err)
			if want := (smartcard.Desk{Transaction: tx, Stage: smartcard.Open}); tt.desk != (d == want) || !tt.desk && d != (smartcard.Desk{}) {
				t.Errorf("desk %+v, want it: %v", d, tt.desk)
			}
		})
	}
}
