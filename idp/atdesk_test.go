package idp_test

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/store/redis"
)

// deskKey is what the thumbprint of an agent's key stands for here.
const deskKey = "thumbprint"

// held is a session of the old service that an agent opened with a card, which
// signed its key; "" is an old agent's.
func (w *ward) held(name, key, card string) idp.Session {
	w.t.Helper()
	s := idp.Session{ID: "sid-" + name, Key: "cis1." + name, Subject: nurse, Method: authenticators.LegacySmartcard, Level: authenticators.AAL3,
		AuthTime: w.now, LastAct: w.now, Authenticator: card, Legacy: &idp.LegacyDesk{Key: key}}
	if err := w.live.SaveSession(w.t.Context(), s); err != nil {
		w.t.Fatal(err)
	}
	return s
}

// lives says whether the store has s.
func (w *ward) lives(s idp.Session) bool {
	w.t.Helper()
	_, err := w.live.Session(w.t.Context(), s.Key, w.now)
	if err != nil && !errors.Is(err, idp.ErrNotFound) {
		w.t.Fatal(err)
	}
	return err == nil
}

// enters signs the nurse in with a card, or by a session of the old service.
func (w *ward) enters(card, session string) (idp.Session, error) {
	w.t.Helper()
	w.change(func(p *idp.Person) { p.Holds = map[string]bool{"card:01": true, "card:02": true} })
	e := w.evidence(idp.NewSecret())
	e.Authenticator, e.Session = card, session
	s, _, err := w.logins.SignIn(w.t.Context(), w.begin(idp.NewSecret()), "request", e, "")
	return s, err
}

func (w *ward) mustEnter(card, session string) idp.Session {
	w.t.Helper()
	s, err := w.enters(card, session)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// noting notes the order of calls.
type noting struct {
	*redis.Store
	calls []string
}

func (n *noting) Depart(ctx context.Context, uid, authenticator string) error {
	n.calls = append(n.calls, "Depart")
	return n.Store.Depart(ctx, uid, authenticator)
}

func (n *noting) SessionsOf(ctx context.Context, uid string, now time.Time) ([]idp.OwnSession, error) {
	n.calls = append(n.calls, "SessionsOf")
	return n.Store.SessionsOf(ctx, uid, now)
}

func TestAtDesk(t *testing.T) {
	t.Run("P19: who signs out of what a card opened ends what the agent at its desk holds by that card, and nothing else", func(t *testing.T) {
		w := aWard(t)
		w.logins.AtDesk = w.live
		s := w.mustEnter("card:01", "")
		one, two := w.held("one", deskKey, "card:01"), w.held("two", deskKey, "card:01")
		other, old := w.held("other", deskKey, "card:02"), w.held("old", "", "card:01")
		elsewhere := w.mustEnter("card:01", "")
		if err := w.logins.SignOut(t.Context(), s, "", "request"); err != nil {
			t.Fatal(err)
		}
		if w.lives(s) || w.lives(one) || w.lives(two) || !w.lives(other) || !w.lives(old) || !w.lives(elsewhere) {
			t.Errorf("live: %t, %t, %t; %t, %t, %t", w.lives(s), w.lives(one), w.lives(two), w.lives(other), w.lives(old), w.lives(elsewhere))
		}
		for _, over := range []idp.Session{s, one, two} {
			for _, fence := range over.Over() {
				if stands, err := w.logins.Fences.Stands(t.Context(), fence); err != nil || !stands {
					t.Errorf("no fence %s of %s: %v", fence.Kind, over.ID, err)
				}
			}
		}
		if n := w.recorded(idp.SessionEnded); n != 3 {
			t.Errorf("the journal has %d ends", n)
		}
	})
	t.Run("own rule: who signs out is written down before what their card opened is looked for", func(t *testing.T) {
		w := aWard(t)
		s := w.mustEnter("card:01", "")
		noted := &noting{Store: w.live}
		w.logins.AtDesk = noted
		if err := w.logins.SignOut(t.Context(), s, "", "request"); err != nil || strings.Join(noted.calls, " ") != "Depart SessionsOf" {
			t.Errorf("SignOut() = %v after %v", err, noted.calls)
		}
		if n, err := w.live.LastDeparture(t.Context(), nurse, "card:01"); err != nil || n != 1 {
			t.Errorf("LastDeparture = %d, %v", n, err)
		}
	})
	t.Run("own rule: where no session of the old service signs in at a desk, signing out asks for none", func(t *testing.T) {
		w := aWard(t)
		s, one := w.mustEnter("card:01", ""), w.held("one", deskKey, "card:01")
		if err := w.logins.SignOut(t.Context(), s, "", "request"); err != nil || !w.lives(one) || w.lives(s) {
			t.Errorf("SignOut() = %v; the other lives: %t", err, w.lives(one))
		}
	})
	t.Run("P19: who enters by such a session, shows their card there or another authenticator, and signs out has left it at the desk too", func(t *testing.T) {
		for _, shown := range []string{"", "card:01", "card:02", "passkey-1"} {
			w := aWard(t)
			w.logins.AtDesk = w.live
			of := w.held("one", deskKey, "card:01")
			s := w.mustEnter("card:01", of.Key)
			if shown != "" {
				e := w.evidence(idp.NewSecret())
				e.Authenticator = shown
				w.change(func(p *idp.Person) { p.Holds = map[string]bool{"card:01": true, "card:02": true, "passkey-1": true} })
				var err error
				if s, _, err = w.logins.SignIn(t.Context(), w.begin(idp.NewSecret()), "request", e, s.Key); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.logins.SignOut(t.Context(), s, "", "request"); err != nil {
				t.Fatal(err)
			}
			if _, err := w.enters("card:01", of.Key); !errors.Is(err, authenticators.ErrAnswer) {
				t.Errorf("by %q: whoever sits there next is let in: %v", shown, err)
			}
			if stands, err := w.logins.Fences.Stands(t.Context(), idp.Fence{Kind: idp.SIDFence, Hash: of.ID}); err != nil || !stands {
				t.Errorf("by %q: what it was used with is not told: %v", shown, err)
			}
			if open, err := w.live.SessionsOf(t.Context(), nurse, w.now); err != nil || (shown == "" || shown == "card:01") && len(open) != 0 {
				t.Errorf("by %q: %d sessions are listed, %v", shown, len(open), err)
			}
		}
	})
	t.Run("P19: what a browser was used with goes on when the same card's session of the old service lets its person in there, and ends with that", func(t *testing.T) {
		for _, end := range []string{"at that browser", "at another browser that entered so", "at the desk", "by another authenticator at that browser"} {
			w := aWatch(t)
			w.logins.AtDesk = w.live
			own, of := w.mustEnter("card:01", ""), w.held("one", deskKey, "card:01")
			w.token(own)
			e := w.evidence(idp.NewSecret())
			e.Authenticator, e.Session = "card:01", of.Key
			s, _, err := w.logins.SignIn(t.Context(), w.begin(idp.NewSecret()), "request", e, own.Key)
			if err != nil {
				t.Fatal(err)
			}
			w.pass(idp.FirstLook)
			w.look()
			if told := w.told(); len(told) != 0 || s.ID != of.ID {
				t.Fatalf("told of %q; the browser's sid is %s", told, s.ID)
			}
			switch end {
			case "at that browser":
				err = w.logins.SignOut(t.Context(), s, "", "request")
			case "at another browser that entered so":
				err = w.logins.SignOut(t.Context(), w.mustEnter("card:01", of.Key), "", "request")
			case "at the desk":
				var now idp.Session
				if now, err = w.live.Session(t.Context(), of.Key, w.now); err == nil {
					err = w.registry.Record(t.Context(), idp.Event{At: w.now, Kind: idp.SessionEnded}, now.Over()...)
				}
			case "by another authenticator at that browser":
				e := w.evidence(idp.NewSecret())
				e.Authenticator, e.Method = "passkey-1", authenticators.Passkey
				w.change(func(p *idp.Person) { p.Holds = map[string]bool{"card:01": true, "passkey-1": true} })
				_, _, err = w.logins.SignIn(t.Context(), w.begin(idp.NewSecret()), "request", e, s.Key)
			}
			if err != nil {
				t.Fatal(err)
			}
			if told := w.told(); len(told) != 1 || told[0] != own.ID {
				t.Errorf("ended %s: told of %q, want %s", end, told, own.ID)
			}
		}
	})
	t.Run("own rule: a role that is chosen at a browser is that of the session it came of, unless one was chosen there", func(t *testing.T) {
		for _, chosen := range []string{"", "2"} {
			w := aWard(t)
			w.logins.AtDesk = w.live
			of := w.held("one", deskKey, "card:01")
			of.Role = chosen
			if err := w.live.UpdateSession(t.Context(), of); err != nil {
				t.Fatal(err)
			}
			s := w.mustEnter("card:01", of.Key)
			if _, err := w.logins.ChooseRole(t.Context(), w.look(w.begin("b"), s), "request", "1"); err != nil {
				t.Fatal(err)
			}
			if now, err := w.live.Session(t.Context(), of.Key, w.now); err != nil || now.Role != cmp.Or(chosen, "1") {
				t.Errorf("chosen at the gateway %q, and now %q, %v", chosen, now.Role, err)
			}
		}
	})
	t.Run("own rule: what came of such a session is over where that is switched off, and no more comes of it", func(t *testing.T) {
		w := aWard(t)
		w.logins.AtDesk = w.live
		of := w.held("one", deskKey, "card:01")
		s := w.mustEnter("card:01", of.Key)
		if v := w.look(w.begin("before"), s); v.Session == nil {
			t.Fatal("it does not stand")
		}
		w.logins.AtDesk = nil
		if v := w.look(w.begin("after"), s); v.Session != nil || v.Step != idp.Authenticate {
			t.Errorf("it stands, at step %v", v.Step)
		}
		if _, err := w.enters("card:01", of.Key); !errors.Is(err, authenticators.ErrAnswer) {
			t.Errorf("SignIn() = %v", err)
		}
	})
	t.Run("P19: no browser's session comes of one that an old agent opened", func(t *testing.T) {
		w := aWard(t)
		w.logins.AtDesk = w.live
		if _, err := w.enters("card:01", w.held("old", "", "card:01").Key); !errors.Is(err, authenticators.ErrAnswer) {
			t.Errorf("SignIn() = %v", err)
		}
	})
}

func TestShown(t *testing.T) {
	t.Run("P19: whatever a program does with its token, a session of the old service is worth its card for no longer than one of ours that nobody uses", func(t *testing.T) {
		w := aWard(t)
		s := idp.Session{Level: authenticators.AAL3, AuthTime: w.now, LastAct: w.now.Add(14 * time.Minute), Legacy: &idp.LegacyDesk{Key: deskKey}}
		for after, want := range map[time.Duration]bool{0: true, 14 * time.Minute: true, 15 * time.Minute: false, 20 * time.Minute: false} {
			if got := s.Shown(idp.Timers{}, w.now.Add(after)); got != want {
				t.Errorf("after %v: %t", after, got)
			}
		}
	})
	t.Run("P19: it is asked again when the browser comes back", func(t *testing.T) {
		w := aWard(t)
		w.logins.AtDesk = w.live
		of := w.held("one", deskKey, "card:01")
		w.now = w.now.Add(15 * time.Minute)
		if _, err := w.live.TouchSession(t.Context(), of.Key, w.now); err != nil {
			t.Fatal(err)
		}
		if _, err := w.enters("card:01", of.Key); !errors.Is(err, authenticators.ErrAnswer) {
			t.Errorf("SignIn() = %v", err)
		}
	})
	t.Run("P19: at a browser where somebody is signed in no session of anybody else lets in", func(t *testing.T) {
		w := aWard(t)
		s := w.mustEnter("card:01", "")
		l := w.begin("step-up")
		if f := w.look(l, s).Former(w.now); f.Subject != nurse {
			t.Errorf("%+v would do", f)
		}
		l.Hint = "555000000102"
		if f := w.look(l, s).Former(w.now); f.Subject != l.Hint {
			t.Errorf("%+v would do, where somebody else is asked for", f)
		}
	})
	t.Run("P19: who changes an account shows their card: a browser's session that came of one of the old service is not enough, however new", func(t *testing.T) {
		w := aWard(t)
		w.logins.AtDesk = w.live
		s, card := w.mustEnter("card:01", w.held("one", deskKey, "card:01").Key), w.mustEnter("card:01", "")
		for _, may := range []func(idp.Session) error{
			func(s idp.Session) error { return s.MayAdd(authenticators.AAL2, w.now) },
			func(s idp.Session) error { return s.MayRemove(authenticators.AAL2, w.now) },
		} {
			if err := may(s); !errors.Is(err, idp.ErrStale) {
				t.Errorf("by that: %v", err)
			}
			if err := may(card); err != nil {
				t.Errorf("by the card: %v", err)
			}
		}
		l := w.begin("change")
		l.Card = true
		if v := w.look(l, s); v.Step != idp.Authenticate || !v.Former(w.now).Since.IsZero() {
			t.Errorf("step %v, and %+v would do", v.Step, v.Former(w.now))
		}
		if v := w.look(l, card); v.Step == idp.Authenticate {
			t.Error("the card's own is asked for once more")
		}
	})
}

// living are sessions of the old service that all live.
type living struct{}

func (living) Lives(context.Context, string) error { return nil }

func TestSwitchedOff(t *testing.T) {
	t.Run("own rule: an application that is switched off is not entered by what another opened from a session of the old service", func(t *testing.T) {
		w := aWard(t)
		w.logins.AtDesk = w.live
		s := w.mustEnter("card:01", w.held("one", deskKey, "card:01").Key)
		card := w.mustEnter("card:01", "")
		off := false
		w.logins.SwitchedOff = func(client string) bool { return off && client == "ward" }
		if v := w.look(w.begin("before"), s); v.Session == nil || v.Step != idp.Return && v.Step != idp.ChooseRole || v.Former(w.now).Since.IsZero() {
			t.Fatalf("while it is on: step %v, %+v", v.Step, v.Former(w.now))
		}
		off = true
		if v := w.look(w.begin("after"), s); v.Step != idp.Authenticate || !v.Former(w.now).Since.IsZero() {
			t.Errorf("step %v, and %+v would do", v.Step, v.Former(w.now))
		}
		silent := w.begin("silent")
		silent.Silent = true
		if v := w.look(silent, s); !errors.Is(v.Err, idp.ErrLoginRequired) {
			t.Errorf("without a page: %v", v.Err)
		}
		if v := w.look(w.begin("card"), card); v.Step == idp.Authenticate {
			t.Error("nor is it by what the card itself opened")
		}
		if _, err := w.enters("card:01", w.held("two", deskKey, "card:01").Key); !errors.Is(err, authenticators.ErrAnswer) {
			t.Errorf("SignIn() = %v", err)
		}
	})
	t.Run("own rule: an application that is switched off is given no token of a session of the old service, by a code, a refresh token or an exchange; what it has lives on", func(t *testing.T) {
		b := aBench(t, func(b *bench) { b.grants.Former, b.grant.Of = living{}, "cis1.one" })
		b.tokens = b.mustRefresh(b.tokens.Refresh)
		b.must(b.ours())
		b.grants.SwitchedOff = func(client string) bool { return client == "ward" }
		if _, err := b.refresh(b.tokens.Refresh); !errors.Is(err, idp.ErrRefresh) {
			t.Errorf("Refresh() = %v", err)
		}
		if _, err := b.exchange(b.ours()); !errors.Is(err, idp.ErrSubject) {
			t.Errorf("Exchange() = %v", err)
		}
		b.wantHolder(b.tokens.Access, nil)
		for client, want := range map[string]error{"ward": idp.ErrCode, "records": nil} {
			code := strings.Repeat(client[:1], len(aCode))
			b.grant.Family, b.grant.ClientID = idp.FamilyOf(code), client
			if err := b.live.SaveCode(t.Context(), code, b.grant, b.now.Add(idp.CodeLife)); err != nil {
				t.Fatal(err)
			}
			if _, _, _, err := b.grants.Redeem(t.Context(), idp.Redemption{Code: code, ClientID: client}, "request"); !errors.Is(err, want) {
				t.Errorf("Redeem() of %s = %v", client, err)
			}
		}
	})
}
