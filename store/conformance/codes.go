package conformance

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/idp"
)

// CodeStore is what the end of a login and the token and userinfo endpoints
// need together.
type CodeStore interface {
	idp.LoginStore
	idp.Codes
	idp.Tokens
	idp.Refreshes
}

// aFamily, and a code and a token of it.
var (
	aFamily = "family-abcd"
	aCode   = aFamily + strings.Repeat("c", 43)
	aToken  = aFamily + strings.Repeat("t", 43)
)

func aGrant() idp.Grant {
	return idp.Grant{Family: aFamily, ClientID: "demo-rp", RedirectURI: "https://rp.example/callback",
		Challenge: idp.Challenge("verifier"), Scopes: []string{"openid"}, Subject: "555000000101", SessionID: "sid"}
}

func aRedemption() idp.Redemption {
	return idp.Redemption{Code: aCode, ClientID: "demo-rp", RedirectURI: "https://rp.example/callback",
		Verifier: "verifier", Next: idp.Issued{Access: aToken}}
}

// Codes checks one implementation. open returns an empty store.
func Codes(t *testing.T, open func(t *testing.T) CodeStore) {
	save := func(t *testing.T, now time.Time) CodeStore {
		s := open(t)
		if err := s.SaveCode(t.Context(), aCode, aGrant(), now.Add(idp.CodeLife)); err != nil {
			t.Fatal(err)
		}
		return s
	}
	t.Run("RFC 6749 §4.1.2: of many redeemers one wins, and the rest end what it got", func(t *testing.T) { redeemersRace(t, save) })
	t.Run("P4: of many who end a login one gets it, and a code that works", func(t *testing.T) {
		now := time.Now()
		s, l := open(t), aLogin(now)
		if err := s.AddLogin(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		won := atOnce(func(n int) bool {
			code := fmt.Sprintf("%s%043d", aFamily, n)
			got, err := s.EndLogin(t.Context(), l.ID, now, code, aGrant(), now.Add(idp.CodeLife))
			if err != nil && !errors.Is(err, idp.ErrLoginGone) {
				t.Errorf("a loser got %v, want ErrLoginGone", err)
			}
			if err != nil {
				return false
			}
			r := aRedemption()
			r.Code = code
			if g, err := s.RedeemCode(t.Context(), r, now, now.Add(idp.TokenLife)); !reflect.DeepEqual(got, l) || !reflect.DeepEqual(g, aGrant()) || err != nil {
				t.Errorf("EndLogin = %+v, and its code stands for %+v, %v", got, g, err)
			}
			return true
		})
		if won != 1 {
			t.Errorf("%d ended the login, want 1", won)
		}
	})
	t.Run("own rule: a login that is too old gives no code", func(t *testing.T) {
		now := time.Now()
		s, l := open(t), aLogin(now)
		if err := s.AddLogin(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		if _, err := s.EndLogin(t.Context(), l.ID, l.Expires(), aCode, aGrant(), now.Add(idp.CodeLife)); !errors.Is(err, idp.ErrLoginGone) {
			t.Errorf("EndLogin after its life: %v, want ErrLoginGone", err)
		}
	})
	t.Run("RFC 6749 §4.1.3: a code of another client, redirect URI or verifier is not consumed", func(t *testing.T) { mismatch(t, save) })
	t.Run("RFC 6749 §4.1.2: a code ends after its life", func(t *testing.T) {
		now := time.Now()
		s := save(t, now)
		late := now.Add(idp.CodeLife)
		if _, err := s.RedeemCode(t.Context(), aRedemption(), late, late.Add(time.Hour)); !errors.Is(err, idp.ErrCode) {
			t.Errorf("RedeemCode after its life: %v, want ErrCode", err)
		}
	})
	t.Run("RFC 6749 §4.1.2: a second use is known for one as long as the token lives", func(t *testing.T) {
		now := time.Now()
		s := save(t, now)
		redeemed(t, s, now)
		late := now.Add(idp.TokenLife - time.Second)
		if g, err := s.RedeemCode(t.Context(), aRedemption(), late, late.Add(idp.TokenLife)); !errors.Is(err, idp.ErrUsed) || g.Family != aFamily {
			t.Errorf("RedeemCode long after its use: %+v, %v; want the grant and ErrUsed", g, err)
		}
		wantNoToken(t, s, aToken, late)
	})
	t.Run("RFC 6750 §3.1: a token stands for its grant until it ends", func(t *testing.T) {
		now := time.Now()
		s := save(t, now)
		redeemed(t, s, now)
		got, err := s.Token(t.Context(), aToken, now)
		if err != nil || got.Grant.Subject != aGrant().Subject || got.Refresh || !got.Expires.Equal(now.Add(idp.TokenLife).Truncate(time.Millisecond)) {
			t.Errorf("Token = %+v, %v; want the grant", got, err)
		}
		wantNoToken(t, s, aToken, now.Add(idp.TokenLife))
		wantNoToken(t, s, aFamily+strings.Repeat("x", 43), now)
	})
	t.Run("own rule: an ended family gives no token, whether made or yet to come", func(t *testing.T) {
		now := time.Now()
		s := save(t, now)
		redeemed(t, s, now)
		end(t, s, now)
		wantNoToken(t, s, aToken, now)

		s = save(t, now)
		end(t, s, now)
		if _, err := s.RedeemCode(t.Context(), aRedemption(), now, now.Add(time.Hour)); !errors.Is(err, idp.ErrCode) {
			t.Errorf("RedeemCode in an ended family: %v, want ErrCode", err)
		}
	})
	refreshes(t, save)
	t.Run("own rule: a code is no token, a token no code, and rubbish neither", func(t *testing.T) {
		now := time.Now()
		s := save(t, now)
		for _, v := range []string{aCode, "", "x", aToken + "x", "fam}{y-abcd" + strings.Repeat("t", 43), "\x00" + aToken[1:]} {
			wantNoToken(t, s, v, now)
		}
		redeemed(t, s, now)
		for _, v := range []string{aToken, "", "x"} {
			r := aRedemption()
			r.Code = v
			if _, err := s.RedeemCode(t.Context(), r, now, now.Add(time.Hour)); !errors.Is(err, idp.ErrCode) {
				t.Errorf("RedeemCode(%q): %v, want ErrCode", v, err)
			}
		}
	})
}

func redeemersRace(t *testing.T, save func(*testing.T, time.Time) CodeStore) {
	now := time.Now()
	s := save(t, now)
	won := winners(t, idp.ErrUsed, func() error {
		g, err := s.RedeemCode(t.Context(), aRedemption(), now, now.Add(idp.TokenLife))
		if g.Family != aFamily {
			t.Errorf("RedeemCode = %+v, want the grant, used or not", g)
		}
		return err
	})
	if won != 1 {
		t.Errorf("%d redeemers won, want 1", won)
	}
	wantNoToken(t, s, aToken, now)
}

func mismatch(t *testing.T, save func(*testing.T, time.Time) CodeStore) {
	now := time.Now()
	s := save(t, now)
	for name, change := range map[string]func(*idp.Redemption){
		"client":           func(r *idp.Redemption) { r.ClientID = "other" },
		"redirect URI":     func(r *idp.Redemption) { r.RedirectURI += "/" },
		"verifier":         func(r *idp.Redemption) { r.Verifier = "other" },
		"no verifier":      func(r *idp.Redemption) { r.Verifier = "" },
		"challenge itself": func(r *idp.Redemption) { r.Verifier = idp.Challenge("verifier") },
	} {
		r := aRedemption()
		change(&r)
		if _, err := s.RedeemCode(t.Context(), r, now, now.Add(time.Hour)); !errors.Is(err, idp.ErrCode) {
			t.Errorf("RedeemCode with another %s: %v, want ErrCode", name, err)
		}
	}
	redeemed(t, s, now)
}

func redeemed(t *testing.T, s CodeStore, now time.Time) {
	t.Helper()
	if _, err := s.RedeemCode(t.Context(), aRedemption(), now, now.Add(idp.TokenLife)); err != nil {
		t.Fatalf("RedeemCode: %v", err)
	}
}

func end(t *testing.T, s CodeStore, now time.Time) {
	t.Helper()
	if err := s.RevokeFamily(t.Context(), aFamily, now.Add(idp.TokenLife)); err != nil {
		t.Fatalf("RevokeFamily: %v", err)
	}
}

func wantNoToken(t *testing.T, s CodeStore, token string, now time.Time) {
	t.Helper()
	if _, err := s.Token(t.Context(), token, now); !errors.Is(err, idp.ErrToken) {
		t.Errorf("Token(%q): %v, want ErrToken", token, err)
	}
}
