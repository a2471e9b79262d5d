package idp_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/idp"
)

// renewable returns the tokens of a client that may refresh.
func (w *ward) renewable() idp.Issued {
	w.t.Helper()
	g := idp.Grant{Family: family, ClientID: "ward", Subject: nurse, Scopes: []string{"openid"}, AuthTime: w.now, SessionID: "sid"}
	if err := w.live.SaveCode(w.t.Context(), aCode, g, w.now.Add(idp.CodeLife)); err != nil {
		w.t.Fatal(err)
	}
	_, _, tokens, err := w.grants.Redeem(w.t.Context(), idp.Redemption{Code: aCode, ClientID: "ward", Renews: true}, "request")
	if err != nil {
		w.t.Fatal(err)
	}
	return tokens
}

func (w *ward) refresh(token string, once ...idp.Fence) (idp.Issued, error) {
	_, _, tokens, err := w.grants.Refresh(w.t.Context(), idp.Rotation{Refresh: token, ClientID: "ward"}, "request", once...)
	return tokens, err
}

func (w *ward) mustRefresh(token string) idp.Issued {
	w.t.Helper()
	tokens, err := w.refresh(token)
	if err != nil {
		w.t.Fatal(err)
	}
	return tokens
}

func TestRefresh(t *testing.T) {
	t.Run("P8: a refresh token gives an access token and the next refresh token, for twelve hours", func(t *testing.T) {
		w := aWard(t)
		tokens := w.renewable()
		for range 11 {
			w.pass(time.Hour)
			next := w.mustRefresh(tokens.Refresh)
			if next.Access == tokens.Access || next.Refresh == tokens.Refresh {
				t.Fatal("the tokens are the same")
			}
			tokens = next
			w.wantHolder(tokens.Access, nil)
		}
		w.pass(time.Hour)
		if _, err := w.refresh(tokens.Refresh); !errors.Is(err, idp.ErrRefresh) {
			t.Errorf("Refresh after twelve hours: %v, want ErrRefresh", err)
		}
	})
	t.Run("F12: whose answer was lost gets the same again, and the journal knows of it", func(t *testing.T) {
		w := aWard(t)
		tokens := w.renewable()
		first := w.mustRefresh(tokens.Refresh)
		if again := w.mustRefresh(tokens.Refresh); again != first {
			t.Error("the tokens are others")
		}
		if n := w.recorded(idp.TokenRefreshed); n != 2 {
			t.Errorf("%d rows in the journal, want 2", n)
		}
		w.mustRefresh(first.Refresh)
	})
	t.Run("P8: a second use ends the family, and so does one of which only the journal knows", func(t *testing.T) {
		w := aWard(t)
		tokens := w.renewable()
		next := w.mustRefresh(tokens.Refresh)
		w.pass(idp.RefreshGrace + time.Second)
		if _, err := w.refresh(tokens.Refresh); !errors.Is(err, idp.ErrUsed) {
			t.Errorf("Refresh: %v, want ErrUsed", err)
		}
		w.wantHolder(next.Access, idp.ErrToken)

		w = aWard(t)
		tokens = w.renewable()
		if err := w.grants.Journal.Record(t.Context(), idp.Event{At: w.now}, idp.Fence{Kind: idp.RefreshFence, Hash: idp.Hash(tokens.Refresh)}); err != nil {
			t.Fatal(err)
		}
		if got, err := w.refresh(tokens.Refresh); !errors.Is(err, idp.ErrUsed) || got != (idp.Issued{}) {
			t.Errorf("Refresh of what the store forgot: %v, want ErrUsed", err)
		}
		w.wantHolder(tokens.Access, idp.ErrToken)
	})
	t.Run("F26: of many refreshes at once one is made, and all get its tokens", func(t *testing.T) {
		w := aWard(t)
		tokens := w.renewable()
		got := make([]idp.Issued, 50)
		var wait sync.WaitGroup
		for i := range got {
			wait.Go(func() {
				var err error
				if got[i], err = w.refresh(tokens.Refresh); err != nil {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		for _, one := range got {
			if one != got[0] {
				t.Fatal("two got different tokens")
			}
		}
		w.wantHolder(got[0].Access, nil)
	})
	t.Run("P11: an assertion that was used before refreshes nothing", func(t *testing.T) {
		w := aWard(t)
		tokens, assertion := w.renewable(), idp.Fence{Kind: idp.AssertionFence, Hash: "jti"}
		if err := w.grants.Journal.Record(t.Context(), idp.Event{At: w.now}, assertion); err != nil {
			t.Fatal(err)
		}
		if _, err := w.refresh(tokens.Refresh, assertion); !errors.Is(err, idp.ErrClientUnknown) {
			t.Errorf("Refresh: %v, want ErrClientUnknown", err)
		}
	})
	t.Run("own rule: no tokens that the journal does not know of, and the client may come again", func(t *testing.T) {
		w := aWard(t)
		tokens, works := w.renewable(), w.grants.Journal
		w.grants.Journal = down{}
		if got, err := w.refresh(tokens.Refresh); !errors.Is(err, errDown) || got != (idp.Issued{}) {
			t.Errorf("Refresh: %v, want the journal's error and no token", err)
		}
		w.grants.Journal = works
		w.mustRefresh(tokens.Refresh)
	})
	t.Run("F12: an outage of the registry, however long, costs a client that comes again no session", func(t *testing.T) {
		w := aWard(t)
		tokens, works := w.renewable(), w.grants.Journal
		for range 3 {
			w.grants.Journal = down{}
			for range 2 { // the second within the grace of the first
				if _, err := w.refresh(tokens.Refresh); !errors.Is(err, errDown) {
					t.Fatalf("Refresh: %v, want the journal's error", err)
				}
			}
			w.pass(idp.RefreshGrace + time.Second)
		}
		w.grants.Journal = works
		next := w.mustRefresh(tokens.Refresh)
		w.wantHolder(tokens.Access, nil)
		w.wantHolder(next.Access, nil)
		w.mustRefresh(next.Refresh)
	})
	t.Run("P8: after an outage too a second use ends the family, whoever was given the tokens first and however", func(t *testing.T) {
		for name, within := range map[string]bool{"in the grace of the refresh that failed": true, "later": false} {
			w := aWard(t)
			tokens, works := w.renewable(), w.grants.Journal
			w.grants.Journal = down{}
			if _, err := w.refresh(tokens.Refresh); !errors.Is(err, errDown) {
				t.Fatalf("Refresh: %v, want the journal's error", err)
			}
			w.grants.Journal = works
			if !within {
				w.pass(idp.RefreshGrace + time.Second)
			}
			next := w.mustRefresh(tokens.Refresh)
			w.pass(idp.RefreshGrace + time.Second)
			if _, err := w.refresh(tokens.Refresh); !errors.Is(err, idp.ErrUsed) {
				t.Errorf("%s: Refresh: %v, want ErrUsed", name, err)
			}
			w.wantHolder(next.Access, idp.ErrToken)
		}
	})
}

func TestIntrospect(t *testing.T) {
	w := aWard(t)
	tokens := w.renewable()
	for token, refresh := range map[string]bool{tokens.Access: false, tokens.Refresh: true} {
		if got, p, err := w.grants.Introspect(t.Context(), token, "ward", "request"); err != nil || got.Refresh != refresh || p.UID != nurse {
			t.Errorf("RFC 7662 §2.2: Introspect = %+v, %v", got, err)
		}
		if _, _, err := w.grants.Introspect(t.Context(), token, "other", "request"); !errors.Is(err, idp.ErrToken) {
			t.Errorf("own rule: another client learns %v, want ErrToken", err)
		}
	}
	t.Run("P12: a refresh token opens no userinfo", func(t *testing.T) { w.wantHolder(tokens.Refresh, idp.ErrToken) })
}

func TestRevoke(t *testing.T) {
	for _, which := range []string{"access", "refresh"} {
		t.Run("RFC 7009 §2.1: a client ends all that came of its grant by its "+which+" token, and nobody else does", func(t *testing.T) {
			w := aWard(t)
			tokens := w.renewable()
			token := map[string]string{"access": tokens.Access, "refresh": tokens.Refresh}[which]
			if err := w.grants.Revoke(t.Context(), token, "other", "request"); !errors.Is(err, idp.ErrNotYours) {
				t.Errorf("Revoke by another: %v, want ErrNotYours", err)
			}
			w.wantHolder(tokens.Access, nil)
			for range 2 { // what is no token is none already
				if err := w.grants.Revoke(t.Context(), token, "ward", "request"); err != nil {
					t.Error(err)
				}
			}
			w.wantHolder(tokens.Access, idp.ErrToken)
			if _, err := w.refresh(tokens.Refresh); !errors.Is(err, idp.ErrRefresh) {
				t.Errorf("Refresh: %v, want ErrRefresh", err)
			}
		})
	}
	t.Run("RFC 7009 §2.1: a client does not end another's tokens by what it got for one that was for it", func(t *testing.T) {
		b := aBench(t)
		lent := b.must(idp.Exchange{Token: b.tokens.Access, ClientID: "ward", Audience: "records"})
		own := b.must(idp.Exchange{Token: lent.Access, ClientID: "records"})
		onward := b.must(idp.Exchange{Token: own.Access, ClientID: "records", Audience: "archive", Scopes: []string{"openid"}})
		for _, token := range []string{lent.Access, own.Access, onward.Access} {
			if err := b.grants.Revoke(t.Context(), token, "records", "request"); !errors.Is(err, idp.ErrNotYours) {
				t.Errorf("Revoke: %v, want ErrNotYours", err)
			}
			b.wantHolder(token, nil)
		}
		b.wantHolder(b.tokens.Access, nil)
		if err := b.grants.Revoke(t.Context(), lent.Access, "ward", "request"); err != nil {
			t.Error(err)
		}
		b.wantHolder(onward.Access, idp.ErrToken)
	})
	t.Run("RFC 7009 §2.1: a client whose next refresh token was lost on the way ends all by the one that it has", func(t *testing.T) {
		w := aWard(t)
		tokens := w.renewable()
		next, err := w.refresh(tokens.Refresh)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.grants.Revoke(t.Context(), tokens.Refresh, "other", "request"); !errors.Is(err, idp.ErrNotYours) {
			t.Errorf("Revoke by another: %v, want ErrNotYours", err)
		}
		w.wantHolder(next.Access, nil)
		if err := w.grants.Revoke(t.Context(), tokens.Refresh, "ward", "request"); err != nil {
			t.Error(err)
		}
		w.wantHolder(next.Access, idp.ErrToken)
	})
	t.Run("P11: an assertion is used up, whatever becomes of the token", func(t *testing.T) {
		w := aWard(t)
		tokens := w.renewable()
		for token, want := range map[string]error{"no token": nil, tokens.Access: idp.ErrNotYours} {
			assertion := idp.Fence{Kind: idp.AssertionFence, Hash: "of " + token}
			for _, want := range []error{want, idp.ErrClientUnknown} {
				if err := w.grants.Revoke(t.Context(), token, "other", "request", assertion); !errors.Is(err, want) {
					t.Errorf("Revoke(%q): %v, want %v", token, err, want)
				}
			}
		}
		w.wantHolder(tokens.Access, nil)
	})
	t.Run("P11: an assertion that was used before revokes nothing", func(t *testing.T) {
		w := aWard(t)
		tokens, assertion := w.renewable(), idp.Fence{Kind: idp.AssertionFence, Hash: "jti"}
		if err := w.grants.Journal.Record(t.Context(), idp.Event{At: w.now}, assertion); err != nil {
			t.Fatal(err)
		}
		if err := w.grants.Revoke(t.Context(), tokens.Access, "ward", "request", assertion); !errors.Is(err, idp.ErrClientUnknown) {
			t.Errorf("Revoke: %v, want ErrClientUnknown", err)
		}
		w.wantHolder(tokens.Access, nil)
	})
	t.Run("own rule: nobody is told that something was revoked which lives on", func(t *testing.T) {
		w := aWard(t)
		tokens := w.renewable()
		w.grants.Journal = down{}
		if err := w.grants.Revoke(t.Context(), tokens.Access, "ward", "request"); !errors.Is(err, errDown) {
			t.Errorf("Revoke: %v, want the journal's error", err)
		}
	})
}

func TestOwn(t *testing.T) {
	w := aWard(t)
	token, err := w.grants.Own(t.Context(), "ward", "request")
	if err != nil {
		t.Fatal(err)
	}
	t.Run("RFC 6749 §4.4: a client's own token is its own", func(t *testing.T) {
		if got, p, err := w.grants.Introspect(t.Context(), token, "ward", "request"); err != nil || got.Grant.Subject != "" || p.UID != "" {
			t.Errorf("Introspect = %+v, %v", got, err)
		}
	})
	t.Run("own rule: it opens nothing of people", func(t *testing.T) { w.wantHolder(token, idp.ErrToken) })
}
