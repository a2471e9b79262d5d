package idp_test

import (
	"errors"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
)

const aCalled = "passkey:k1"

// aHolder is a ward whose nurse holds a passkey and has signed in with it: a
// session, a code of it, and a token of another code.
func aHolder(t *testing.T) (w *ward, s idp.Session, token string) {
	w = aWard(t)
	w.change(func(p *idp.Person) { p.Holds = map[string]bool{aCalled: true, "card:01": true} })
	e := w.evidence("once")
	e.Authenticator = aCalled
	s, _, err := w.logins.SignIn(t.Context(), w.begin("a"), "request", e, "")
	if err != nil {
		t.Fatal(err)
	}
	if s.Authenticator != aCalled {
		t.Errorf("the session is of %q", s.Authenticator)
	}
	w.saveGrant(s)
	token = w.mustRedeem()
	w.pass(time.Second)
	return w, s, token
}

// saveGrant keeps a code of s.
func (w *ward) saveGrant(s idp.Session) {
	w.t.Helper()
	g := idp.Grant{Family: family, ClientID: "ward", Subject: nurse, Scopes: []string{"openid"}, AuthTime: s.AuthTime, Authenticator: s.Authenticator}
	if err := w.live.SaveCode(w.t.Context(), aCode, g, w.now.Add(idp.CodeLife)); err != nil {
		w.t.Fatal(err)
	}
}

// change is what the registry does to the nurse.
func (w *ward) change(how func(*idp.Person)) {
	p := w.people[nurse]
	how(&p)
	w.people[nurse] = p
}

// wantEnded checks that s and what came of it are worth nothing.
func (w *ward) wantEnded(s idp.Session, token string) {
	w.t.Helper()
	if v := w.look(w.begin("later"), s); v.Session != nil || v.Step != idp.Authenticate || v.Person.UID != "" {
		w.t.Errorf("the session still stands: step %v", v.Step)
	}
	w.wantHolder(token, idp.ErrToken)
	w.rdb.FlushAll(w.t.Context())
	w.saveGrant(s)
	if _, err := w.redeem(); !errors.Is(err, idp.ErrCode) {
		w.t.Errorf("Redeem: %v, want ErrCode", err)
	}
}

func TestStanding(t *testing.T) {
	for rule, how := range map[string]func(*idp.Person){
		"A10: what a suspended authenticator made has ended":  func(p *idp.Person) { p.Holds = map[string]bool{aCalled: false} },
		"A10: what an authenticator made that is gone":        func(p *idp.Person) { p.Holds = map[string]bool{"card:01": true} },
		"S6: what began before its person signed out of all":  func(p *idp.Person) { p.SignedOutAt = time.Date(2030, 1, 1, 12, 0, 1, 0, time.UTC) },
		"S6: what its person began who may not sign in again": func(p *idp.Person) { p.Profile = idp.Closed },
	} {
		t.Run(rule, func(t *testing.T) {
			w, s, token := aHolder(t)
			if v := w.look(w.begin("before"), s); v.Session == nil {
				t.Fatal("the session does not stand")
			}
			w.wantHolder(token, nil)
			w.change(how)
			if w.people[nurse].Profile == idp.Closed {
				w.wantHolder(token, idp.ErrToken)
				return
			}
			w.wantEnded(s, token)
		})
	}
	t.Run("S6: what began in the instant of the sign-out has ended, and what began after it stands", func(t *testing.T) {
		w, s, token := aHolder(t)
		w.change(func(p *idp.Person) { p.SignedOutAt = s.AuthTime.Add(-time.Nanosecond) })
		w.wantHolder(token, nil)
		w.change(func(p *idp.Person) { p.SignedOutAt = s.AuthTime })
		w.wantEnded(s, token)
	})
	t.Run("S6: what an older release made names no authenticator, and passes", func(t *testing.T) {
		w, s, _ := aHolder(t)
		s.Authenticator = ""
		if err := w.live.UpdateSession(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		w.change(func(p *idp.Person) { p.Holds = nil })
		if v := w.look(w.begin("b"), s); v.Session == nil {
			t.Error("the session has ended")
		}
	})
	t.Run("A10: evidence of what is not usable any more signs nobody in", func(t *testing.T) {
		w, _, _ := aHolder(t)
		before := w.sessions()
		e := w.evidence("another")
		e.Authenticator = "passkey:k2"
		if _, secret, err := w.logins.SignIn(t.Context(), w.begin("b"), "request", e, ""); !errors.Is(err, authenticators.ErrSuspended) || secret != "" {
			t.Errorf("SignIn: %v, want ErrSuspended", err)
		}
		e.Authenticator = aCalled
		e.Use = &authenticators.Use{ID: "k1"} // which this ward's journal does not know
		if _, secret, err := w.logins.SignIn(t.Context(), w.begin("c"), "request", e, ""); !errors.Is(err, authenticators.ErrAnswer) || secret != "" {
			t.Errorf("SignIn: %v, want ErrAnswer", err)
		}
		if n := w.sessions(); n != before {
			t.Errorf("%d sessions, want %d", n, before)
		}
	})
}

func TestStandingNow(t *testing.T) {
	// w is a ward whose server remembers the nurse without the passkey that
	// another server has added.
	w := aWard(t)
	before := people{nurse: w.people[nurse]}
	w.change(func(p *idp.Person) { p.Holds = map[string]bool{aCalled: true} })
	w.logins.People, w.grants.People = lagging{w.people, before}, lagging{w.people, before}
	e := w.evidence("once")
	e.Authenticator = aCalled
	s, _, err := w.logins.SignIn(t.Context(), w.begin("a"), "request", e, "")
	if err != nil {
		t.Fatalf("own rule: who signs in with what another server has just added gets in: %v", err)
	}
	t.Run("own rule: nor does their session or token wait for this server to hear of it", func(t *testing.T) {
		if v := w.look(w.begin("b"), s); v.Session == nil {
			t.Error("the session is worth nothing")
		}
		w.saveGrant(s)
		w.wantHolder(w.mustRedeem(), nil)
	})
	t.Run("own rule: later what this server remembers counts, and no question is asked for it", func(t *testing.T) {
		w.pass(time.Minute)
		if v := w.look(w.begin("c"), s); v.Session != nil {
			t.Error("the registry was asked")
		}
	})
	t.Run("own rule: what was taken away is worth nothing, however lately it was used", func(t *testing.T) {
		w := aWard(t)
		if _, _, err := w.logins.SignIn(t.Context(), w.begin("a"), "request", e, ""); !errors.Is(err, authenticators.ErrSuspended) {
			t.Errorf("SignIn: %v, want ErrSuspended", err)
		}
	})
}
