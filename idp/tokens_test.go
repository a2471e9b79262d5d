package idp_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
)

func TestRedeem(t *testing.T) {
	t.Run("RFC 6749 §4.1.2: a second use ends what the first made, after Redis forgot the first too", func(t *testing.T) {
		w := aWard(t)
		w.saveCode()
		token := w.mustRedeem()
		w.wantHolder(token, nil)
		if err := w.rdb.Del(t.Context(), w.rdb.Keys(t.Context(), "code:*").Val()...).Err(); err != nil {
			t.Fatal(err)
		}
		w.saveCode() // as in a snapshot from before the first use
		if again, err := w.redeem(); !errors.Is(err, idp.ErrUsed) || again != "" {
			t.Errorf("the second use: %v, want ErrUsed and no token", err)
		}
		w.wantHolder(token, idp.ErrToken)
		w.pass(idp.TokenLife - time.Minute)
		w.wantHolder(token, idp.ErrToken)
	})
	t.Run("RFC 6749 §4.1.2: half an hour after the first use a second one still ends its token", func(t *testing.T) {
		w := aWard(t)
		w.saveCode()
		token := w.mustRedeem()
		w.pass(30 * time.Minute)
		w.wantHolder(token, nil)
		if _, err := w.redeem(); !errors.Is(err, idp.ErrUsed) {
			t.Errorf("the second use: %v, want ErrUsed", err)
		}
		w.wantHolder(token, idp.ErrToken)
	})
	t.Run("ASVS 7.4.1: a family that was ended stays ended, though Redis forgot that too", func(t *testing.T) {
		w := aWard(t)
		w.saveCode()
		token := w.mustRedeem()
		if _, err := w.redeem(); !errors.Is(err, idp.ErrUsed) {
			t.Fatalf("the second use: %v, want ErrUsed", err)
		}
		if err := w.rdb.Del(t.Context(), w.rdb.Keys(t.Context(), "family:*").Val()...).Err(); err != nil {
			t.Fatal(err)
		}
		w.wantHolder(token, idp.ErrToken)
	})
	t.Run("RFC 6749 §4.1.2: a second use ends what the first made for good, though Redis fails that instant", func(t *testing.T) {
		w := aWard(t)
		w.saveCode()
		token := w.mustRedeem()
		w.rdb.Del(t.Context(), w.rdb.Keys(t.Context(), "code:*").Val()...)
		w.saveCode() // as in a snapshot from before the first use
		w.grants.Tokens = forgetful{w.live}
		if again, err := w.redeem(); !errors.Is(err, idp.ErrUnavailable) || again != "" {
			t.Errorf("the second use: %v, want ErrUnavailable and no token", err)
		}
		w.grants.Tokens = w.live
		w.wantHolder(token, idp.ErrToken)
	})
	t.Run("RFC 6750 §3.1: an access token lives an hour", func(t *testing.T) {
		w := aWard(t)
		w.saveCode()
		token := w.mustRedeem()
		w.pass(3599 * time.Second)
		w.wantHolder(token, nil)
		w.pass(time.Second)
		w.wantHolder(token, idp.ErrToken)
	})
}

func TestSignedOut(t *testing.T) {
	type asked struct {
		code   string
		s      idp.Session
		tokens idp.Issued
	}
	ask := func(w *ward) asked {
		w.t.Helper()
		l := w.begin("a")
		s := w.mustSignIn(l)
		v, err := w.logins.ChooseRole(w.t.Context(), w.look(l, s), "request", "1")
		if err != nil {
			w.t.Fatal(err)
		}
		code, err := w.logins.Code(w.t.Context(), v)
		if err != nil {
			w.t.Fatal(err)
		}
		return asked{code: code, s: s}
	}
	redeem := func(w *ward, a *asked) (err error) {
		_, _, a.tokens, err = w.grants.Redeem(w.t.Context(), idp.Redemption{Code: a.code, ClientID: "ward", Renews: true}, "request")
		return err
	}
	signsIn := func(w *ward, e authenticators.Evidence, old string) idp.Session {
		w.t.Helper()
		s, _, err := w.logins.SignIn(w.t.Context(), w.begin(idp.NewSecret()), "request", e, old)
		if err != nil {
			w.t.Fatal(err)
		}
		return s
	}
	someoneElse := aWard(t).evidence("else")
	someoneElse.Subject = another
	for how, end := range map[string]func(*ward, idp.Session){
		"is left":                           func(w *ward, s idp.Session) { _ = w.logins.Leave(t.Context(), s.Key, "request") },
		"gives way to another person's":     func(w *ward, s idp.Session) { signsIn(w, someoneElse, s.Key) },
		"is of somebody who was restricted": func(w *ward, _ idp.Session) { w.restrict() },
	} {
		t.Run("S6: when a session "+how+" its codes, tokens and refresh tokens are worth nothing", func(t *testing.T) {
			w := aWard(t)
			w.people[another] = idp.Person{UID: another, Profile: idp.Verified}
			out, waiting := ask(w), asked{}
			if err := redeem(w, &out); err != nil {
				t.Fatal(err)
			}
			v := w.look(w.begin("second"), out.s)
			v.Step = idp.Return
			var err error
			if waiting.code, err = w.logins.Code(t.Context(), v); err != nil {
				t.Fatal(err)
			}
			w.wantHolder(out.tokens.Access, nil)
			end(w, out.s)
			w.wantHolder(out.tokens.Access, idp.ErrToken)
			if err := redeem(w, &waiting); !errors.Is(err, idp.ErrCode) {
				t.Errorf("Redeem: %v, want ErrCode", err)
			}
			if _, _, got, err := w.grants.Refresh(t.Context(), idp.Rotation{Refresh: out.tokens.Refresh, ClientID: "ward"}, "request"); !errors.Is(err, idp.ErrRefresh) || got != (idp.Issued{}) {
				t.Errorf("Refresh: %v, want ErrRefresh", err)
			}
		})
	}
	t.Run("S2: who shows their card again has a new session, and stays in what they work in", func(t *testing.T) {
		w := aWard(t)
		a := ask(w)
		if err := redeem(w, &a); err != nil {
			t.Fatal(err)
		}
		again := signsIn(w, w.evidence("again"), a.s.Key)
		if again.ID != a.s.ID || again.Key == a.s.Key {
			t.Errorf("the session is %+v, was %+v", again, a.s)
		}
		w.wantHolder(a.tokens.Access, nil)
		if v := w.look(w.begin("c"), a.s); v.Session != nil {
			t.Error("the old secret still opens it")
		}
	})
	t.Run("S2: nobody follows a session that was ended, though the session store has it", func(t *testing.T) {
		w := aWard(t)
		a := ask(w)
		if err := w.logins.Journal.Record(t.Context(), idp.Event{At: w.now, Kind: idp.SessionEnded}, a.s.Over()...); err != nil {
			t.Fatal(err)
		}
		if again := signsIn(w, w.evidence("again"), a.s.Key); again.ID == a.s.ID {
			t.Error("a new session has the sid of one that was ended")
		}
	})
}

func TestRestricted(t *testing.T) {
	t.Run("assurance: who was restricted since the sign-in gets no token", func(t *testing.T) {
		w := aWard(t)
		w.saveCode()
		w.restrict()
		if token, err := w.redeem(); !errors.Is(err, idp.ErrCode) || token != "" {
			t.Errorf("Redeem: %v, want ErrCode and no token", err)
		}
	})
	t.Run("assurance: nor do their tokens open userinfo", func(t *testing.T) {
		w := aWard(t)
		w.saveCode()
		token := w.mustRedeem()
		w.wantHolder(token, nil)
		w.restrict()
		w.wantHolder(token, idp.ErrToken)
	})
}

func TestUnrecorded(t *testing.T) {
	t.Run("own rule: no token that the journal does not know of", func(t *testing.T) {
		w := aWard(t)
		w.grants.Journal = down{}
		w.saveCode()
		if token, err := w.redeem(); !errors.Is(err, errDown) || token != "" {
			t.Errorf("Redeem: %v, want the journal's error and no token", err)
		}
	})
	t.Run("own rule: a second use ends the family, recorded or not", func(t *testing.T) {
		w := aWard(t)
		w.saveCode()
		token := w.mustRedeem()
		w.grants.Journal = down{}
		if _, err := w.redeem(); !errors.Is(err, errDown) {
			t.Errorf("Redeem: %v, want the journal's error", err)
		}
		w.wantHolder(token, idp.ErrToken)
	})
	t.Run("own rule: no session that the journal does not know of", func(t *testing.T) {
		w := aWard(t)
		w.logins.Journal = down{}
		if s, secret, err := w.signIn(w.begin("a"), "once"); !errors.Is(err, errDown) || secret != "" || s.ID != "" || w.sessions() != 0 {
			t.Errorf("SignIn: %v with %d sessions, want the journal's error and none", err, w.sessions())
		}
	})
	t.Run("own rule: no role that the journal does not know of", func(t *testing.T) {
		w := aWard(t)
		l := w.begin("a")
		s := w.mustSignIn(l)
		w.logins.Journal = down{}
		if _, err := w.logins.ChooseRole(t.Context(), w.look(l, s), "request", "1"); !errors.Is(err, errDown) {
			t.Errorf("ChooseRole: %v, want the journal's error", err)
		}
		kept, err := w.live.Login(t.Context(), "a", w.now)
		last, err2 := w.logins.LastRoles.LastRole(t.Context(), nurse, "ward")
		if err := errors.Join(err, err2); err != nil || kept.Role != "" || last != "" {
			t.Errorf("the login has the role %q, the last is %q, %v; want none", kept.Role, last, err)
		}
		if v := w.look(l, s); v.Step != idp.ChooseRole {
			t.Errorf("step %v, want the role asked again", v.Step)
		}
	})
}

func TestScopesTakenBack(t *testing.T) {
	t.Run("P7: a scope that was taken from a client gives nothing more, whatever was given before", func(t *testing.T) {
		w := aWard(t)
		registered := idp.Client{ID: "ward", MinLevel: authenticators.AAL1, Scopes: []string{"openid", "profile", "email", "selectedrole"}}
		w.grants.Clients = clients{"ward": registered}
		g := idp.Grant{Family: family, ClientID: "ward", Subject: nurse, Scopes: registered.Scopes, Role: "1", AuthTime: w.now, SessionID: "sid",
			Asked: idp.Asked{UserInfo: []string{"email"}, IDToken: []string{"email"}}}
		if err := w.live.SaveCode(t.Context(), aCode, g, w.now.Add(idp.CodeLife)); err != nil {
			t.Fatal(err)
		}
		wantAll := func(at string, g idp.Grant) {
			t.Helper()
			if !slices.Equal(g.Scopes, registered.Scopes) || g.Role != "1" || len(g.Asked.IDToken) != 1 || len(g.Asked.UserInfo) != 1 {
				t.Errorf("%s before: %+v", at, g)
			}
		}
		got, _, tokens, err := w.grants.Redeem(t.Context(), idp.Redemption{Code: aCode, ClientID: "ward", Renews: true}, "request")
		if err != nil {
			t.Fatal(err)
		}
		wantAll("a code", got)
		if got, _, err = w.grants.Holder(t.Context(), tokens.Access); err != nil {
			t.Fatal(err)
		}
		wantAll("an access token", got)

		registered.Scopes = []string{"openid"}
		w.grants.Clients = clients{"ward": registered}
		wantLittle := func(at string, g idp.Grant, err error) {
			t.Helper()
			if err != nil || !slices.Equal(g.Scopes, []string{"openid"}) || g.Role != "" || len(g.Asked.IDToken)+len(g.Asked.UserInfo) != 0 {
				t.Errorf("%s after: %+v, %v", at, g, err)
			}
		}
		got, _, err = w.grants.Holder(t.Context(), tokens.Access)
		wantLittle("an access token", got, err)
		told, _, err := w.grants.Introspect(t.Context(), tokens.Access, "ward", "request")
		wantLittle("introspection", told.Grant, err)
		got, _, _, err = w.grants.Refresh(t.Context(), idp.Rotation{Refresh: tokens.Refresh, ClientID: "ward"}, "request")
		wantLittle("a refresh", got, err)
	})
}
