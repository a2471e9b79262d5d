package idp_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
	"github.com/lanyard-id/lanyard/store/memory"
)

// saved is a store of sessions that remembers the last.
type saved struct {
	idp.SessionStore
	last idp.Session
}

func (s *saved) SaveSession(_ context.Context, session idp.Session) error {
	s.last = session
	return nil
}

func TestSignInFlag(t *testing.T) {
	noon := time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)
	registry, err := memory.New(directory.Document{
		People:  []directory.Person{{UID: "555000000101", Profile: idp.Verified}},
		Clients: []directory.Client{{ID: "ward", MinLevel: 1}},
	}, memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	sessions := &saved{}
	logins := idp.Logins{Sessions: sessions, People: registry, Clients: registry, Journal: registry, Fences: registry, Now: func() time.Time { return noon }}
	weak := authenticators.Evidence{Subject: "555000000101", Method: authenticators.Smartcard, Level: authenticators.AAL2, At: noon, Flag: "odd"}
	t.Run("X8: a flag of evidence stands in the journal, with the lower level", func(t *testing.T) {
		weak.Once = "first"
		if _, _, err := logins.SignIn(t.Context(), idp.Login{ClientID: "ward", Wants: []idp.ACR{idp.AAL2Any}}, "request", weak, ""); err != nil {
			t.Fatal(err)
		}
		if e := registry.Events(); len(e) != 1 || e[0].Kind != idp.SignedIn || e[0].Flag != "odd" || e[0].Level != 2 || sessions.last.Level != authenticators.AAL2 {
			t.Errorf("journal %+v, session %+v", e, sessions.last)
		}
	})
	t.Run("X8: such evidence does not do where AAL3 is asked for, and the refusal has the flag too", func(t *testing.T) {
		weak.Once = "second"
		if _, _, err := logins.SignIn(t.Context(), idp.Login{ClientID: "ward", Wants: []idp.ACR{idp.AAL3Smartcard}}, "request", weak, ""); !errors.Is(err, idp.ErrUnmet) {
			t.Errorf("SignIn() = %v, want ErrUnmet", err)
		}
		if e := registry.Events(); len(e) != 2 || e[1].Kind != idp.SignInNo || e[1].Flag != "odd" {
			t.Errorf("journal %+v", e)
		}
	})
}
