package idp_test

import (
	"errors"
	"testing"
	"time"

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
	// asked returns a code of a session, and what ends that session.
	asked := func(w *ward) (code string, end func()) {
		w.t.Helper()
		l := w.begin("a")
		s := w.mustSignIn(l)
		v, err := w.logins.ChooseRole(w.t.Context(), w.look(l, s), "request", "1")
		if err != nil {
			w.t.Fatal(err)
		}
		if code, err = w.logins.Code(w.t.Context(), v); err != nil {
			w.t.Fatal(err)
		}
		return code, func() {
			w.t.Helper()
			if _, _, err := w.logins.SignIn(w.t.Context(), w.begin("b"), "request", w.evidence("again"), s.Key); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	redeem := func(w *ward, code string) (string, error) {
		_, _, token, err := w.grants.Redeem(w.t.Context(), idp.Redemption{Code: code, ClientID: "ward"}, "request")
		return token, err
	}
	t.Run("own rule: the code of a session that was ended gives no token", func(t *testing.T) {
		w := aWard(t)
		code, end := asked(w)
		end()
		if token, err := redeem(w, code); !errors.Is(err, idp.ErrCode) || token != "" {
			t.Errorf("Redeem: %v, want ErrCode and no token", err)
		}
	})
	t.Run("own rule: a token that is out lives on when its session ends", func(t *testing.T) {
		w := aWard(t)
		code, end := asked(w)
		token, err := redeem(w, code)
		if err != nil {
			t.Fatal(err)
		}
		end()
		w.wantHolder(token, nil)
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
