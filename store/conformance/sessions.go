package conformance

import (
	"errors"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
)

func aSession(now time.Time) idp.Session {
	now = now.UTC().Truncate(time.Millisecond)
	return idp.Session{ID: "sid", Key: "key", Subject: "555000000101", Method: authenticators.Smartcard,
		Level: authenticators.AAL3, AuthTime: now, LastAct: now, Login: "login"}
}

// Sessions checks one implementation. open returns an empty store.
func Sessions(t *testing.T, open func(t *testing.T) idp.SessionStore) {
	save := func(t *testing.T, now time.Time) (idp.SessionStore, idp.Session) {
		s, session := open(t), aSession(now)
		if err := s.SaveSession(t.Context(), session); err != nil {
			t.Fatal(err)
		}
		return s, session
	}
	t.Run("NIST SP 800-63B §4.3.3: a session lives as long as its limits", func(t *testing.T) {
		now := time.Now()
		s, want := save(t, now)
		if got, err := s.Session(t.Context(), want.Key, want.Expires().Add(-time.Second)); err != nil || got != want {
			t.Errorf("Session = %+v, %v; want %+v", got, err, want)
		}
		if _, err := s.Session(t.Context(), want.Key, want.Expires()); !errors.Is(err, idp.ErrNotFound) {
			t.Errorf("Session past its limit: %v, want ErrNotFound", err)
		}
	})
	t.Run("ASVS 7.4.1: an ended session does not come back", func(t *testing.T) {
		now := time.Now()
		s, session := save(t, now)
		for range 2 { // a second end is no error
			if err := s.EndSession(t.Context(), session.Key); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.UpdateSession(t.Context(), session); !errors.Is(err, idp.ErrNotFound) {
			t.Errorf("UpdateSession of an ended session: %v, want ErrNotFound", err)
		}
		if _, err := s.Session(t.Context(), session.Key, now); !errors.Is(err, idp.ErrNotFound) {
			t.Errorf("Session that was ended: %v, want ErrNotFound", err)
		}
	})
	t.Run("own rule: what was changed is read back", func(t *testing.T) {
		now := time.Now()
		s, session := save(t, now)
		session.Role = "1"
		if err := s.UpdateSession(t.Context(), session); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Session(t.Context(), session.Key, now); err != nil || got != session {
			t.Errorf("Session = %+v, %v; want %+v", got, err, session)
		}
	})
}
