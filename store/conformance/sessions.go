package conformance

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
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
		if got, err := s.Session(t.Context(), want.Key, want.Expires().Add(-time.Second)); err != nil || !reflect.DeepEqual(got, want) {
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
		if got, err := s.Session(t.Context(), session.Key, now); err != nil || !reflect.DeepEqual(got, session) {
			t.Errorf("Session = %+v, %v; want %+v", got, err, session)
		}
	})
}

// OwnSessionStore keeps sessions and their codes, and lists them.
type OwnSessionStore interface {
	idp.SessionStore
	idp.Codes
	idp.OwnSessions
}

// OwnSessions checks one implementation. open returns an empty store.
func OwnSessions(t *testing.T, open func(t *testing.T) OwnSessionStore) {
	t.Run("S8: a person's own live sessions are listed, the newest first, with the clients that they were used with", func(t *testing.T) {
		now := time.Now()
		s := open(t)
		var got []string
		for i, key := range []string{"old", "ended", "new", "another's", "idle"} {
			session := aSession(now.Add(time.Duration(i) * time.Second))
			session.Key, session.ID = key, "sid of "+key
			if key == "another's" {
				session.Subject = "555000000102"
			}
			if key == "idle" {
				session.LastAct = now.Add(-time.Hour)
			}
			if err := s.SaveSession(t.Context(), session); err != nil {
				t.Fatal(err)
			}
		}
		for _, client := range []string{"ward", "list", "ward"} {
			g := aGrant()
			g.SessionID, g.ClientID, g.AuthTime = "sid of old", client, now
			if err := s.SaveCode(t.Context(), aCode, g, now.Add(idp.CodeLife)); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.EndSession(t.Context(), "ended"); err != nil {
			t.Fatal(err)
		}
		own, err := s.SessionsOf(t.Context(), "555000000101", now.Add(10*time.Second))
		for _, o := range own {
			got = append(got, o.ID+fmt.Sprint(o.Clients))
		}
		if err != nil || !slices.Equal(got, []string{"sid of new[]", "sid of old[list ward]"}) {
			t.Errorf("SessionsOf = %q, %v", got, err)
		}
		if own, err := s.SessionsOf(t.Context(), "555000000101", now.Add(13*time.Hour)); err != nil || len(own) != 0 {
			t.Errorf("SessionsOf after their life = %+v, %v", own, err)
		}
		if own, err := s.SessionsOf(t.Context(), "", now); err != nil || len(own) != 0 {
			t.Errorf("SessionsOf nobody = %+v, %v", own, err)
		}
	})
}

// DepartureStore tells who has signed out.
type DepartureStore interface {
	idp.DeskSessions
	Departures(ctx context.Context) (int64, error)
	LastDeparture(ctx context.Context, uid, authenticator string) (int64, error)
}

// Departures checks one implementation. open returns two servers' views of an
// empty store.
func Departures(t *testing.T, open func(t *testing.T) [2]DepartureStore) {
	const ada, card = "555000000101", "card:01"
	t.Run("own rule: who has signed out is known in the order in which they did, by person and authenticator, at every server", func(t *testing.T) {
		both := open(t)
		for i, who := range []struct{ uid, authenticator string }{{ada, card}, {"555000000102", card}, {ada, "card:02"}} {
			if err := both[i%2].Depart(t.Context(), who.uid, who.authenticator); err != nil {
				t.Fatal(err)
			}
			if n, err := both[1-i%2].Departures(t.Context()); err != nil || n != int64(i+1) {
				t.Errorf("Departures = %d, %v; want %d", n, err, i+1)
			}
		}
		for _, tt := range []struct {
			uid, authenticator string
			want               int64
		}{{ada, card, 1}, {"555000000102", card, 2}, {ada, "card:02", 3}, {"555000000102", "card:02", 0}, {"", "", 0}} {
			if n, err := both[0].LastDeparture(t.Context(), tt.uid, tt.authenticator); err != nil || n != tt.want {
				t.Errorf("LastDeparture of %s with %s = %d, %v; want %d", tt.uid, tt.authenticator, n, err, tt.want)
			}
		}
	})
	t.Run("own rule: of many who sign out at once with one card the last counts", func(t *testing.T) {
		const many = 40
		both := open(t)
		var all sync.WaitGroup
		for i := range many {
			all.Go(func() {
				if err := both[i%2].Depart(t.Context(), ada, card); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if n, err := both[0].LastDeparture(t.Context(), ada, card); err != nil || n != many {
			t.Errorf("LastDeparture = %d, %v; want %d", n, err, many)
		}
	})
}
