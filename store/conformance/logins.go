package conformance

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/idp"
)

func aLogin(now time.Time) idp.Login {
	age := 300 * time.Second
	return idp.Login{ID: "login", Browser: "hash", ClientID: "demo-rp", RedirectURI: "https://rp.example/callback",
		State: "s", Scopes: []string{"openid"}, Wants: []idp.ACR{idp.AAL3Any}, MaxAge: &age, StartedAt: now.UTC().Truncate(time.Millisecond)}
}

// Logins checks one implementation. open returns an empty store.
func Logins(t *testing.T, open func(t *testing.T) idp.LoginStore) {
	add := func(t *testing.T, now time.Time) (idp.LoginStore, idp.Login) {
		s, l := open(t), aLogin(now)
		if err := s.AddLogin(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		return s, l
	}
	t.Run("own rule: a login is read back whole until it ends", func(t *testing.T) {
		now := time.Now()
		s, l := add(t, now)
		got, err := s.Login(t.Context(), l.ID, now)
		if err != nil || !reflect.DeepEqual(got, l) {
			t.Errorf("Login = %+v, %v; want %+v", got, err, l)
		}
		for id, at := range map[string]time.Time{l.ID: l.Expires(), "other": now} {
			if _, err := s.Login(t.Context(), id, at); !errors.Is(err, idp.ErrLoginGone) {
				t.Errorf("Login(%s) at %v: %v, want ErrLoginGone", id, at, err)
			}
		}
	})
	t.Run("own rule: of many who end a login one gets it", func(t *testing.T) {
		now := time.Now()
		s, l := add(t, now)
		if n := winners(t, idp.ErrLoginGone, func() error { _, err := s.TakeLogin(t.Context(), l.ID, now); return err }); n != 1 {
			t.Errorf("%d took the login, want 1", n)
		}
	})
	t.Run("own rule: a login that was refused stays refused", func(t *testing.T) {
		now := time.Now()
		s, l := add(t, now)
		refused := l
		refused.Refused = idp.ErrCancelled
		for range 2 { // again is no error
			if err := s.UpdateLogin(t.Context(), refused); err != nil {
				t.Fatal(err)
			}
		}
		l.Role = "1"
		if err := s.UpdateLogin(t.Context(), l); !errors.Is(err, idp.ErrLoginGone) {
			t.Errorf("UpdateLogin of a refused login: %v, want ErrLoginGone", err)
		}
		if got, err := s.Login(t.Context(), l.ID, now); err != nil || got.Refused != idp.ErrCancelled {
			t.Errorf("Login = %+v, %v; want it refused", got, err)
		}
	})
	t.Run("own rule: a login that was taken does not come back", func(t *testing.T) {
		now := time.Now()
		s, l := add(t, now)
		l.Role = "1"
		if err := s.UpdateLogin(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		if got, err := s.TakeLogin(t.Context(), l.ID, now); err != nil || got.Role != "1" {
			t.Fatalf("TakeLogin = %+v, %v; want what was written", got, err)
		}
		if err := s.UpdateLogin(t.Context(), l); !errors.Is(err, idp.ErrLoginGone) {
			t.Errorf("UpdateLogin of a taken login: %v, want ErrLoginGone", err)
		}
		if _, err := s.Login(t.Context(), l.ID, now); !errors.Is(err, idp.ErrLoginGone) {
			t.Errorf("Login of a taken login: %v, want ErrLoginGone", err)
		}
	})
}

// winners lets many do the same at once and returns how many could; the
// others must get lost.
func winners(t *testing.T, lost error, do func() error) int {
	t.Helper()
	return atOnce(func(int) bool {
		err := do()
		if err != nil && !errors.Is(err, lost) {
			t.Errorf("a loser got %v, want %v", err, lost)
		}
		return err == nil
	})
}
