package main

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// TestTokensStop ends what somebody holds at one server, in every way, and
// shows it to both. How long it takes is in the log: 5 seconds are promised.
func TestTokensStop(t *testing.T) {
	t.Parallel()
	both, settings := productionAt(t, pairIssuer, 2)
	conn, err := pgx.Connect(t.Context(), settings["postgres.url"])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	change := func(t *testing.T, sql string) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), sql, fiveRoles); err != nil {
			t.Fatal(err)
		}
	}
	for how, act := range map[string]func(t *testing.T, p *person, tokens answered){
		"revoked by the application": func(t *testing.T, _ *person, tokens answered) {
			t.Helper()
			if a := both[0].revoke(t, "renews", tokens.said("refresh_token")); a.status != http.StatusOK {
				t.Fatalf("revoke: %d", a.status)
			}
		},
		"signed out at an application": func(t *testing.T, p *person, tokens answered) {
			t.Helper()
			p.open(both[0].endSession(url.Values{"id_token_hint": {tokens.said("id_token")}}))
			p.wantSignedOut()
		},
		"signed out of everything": func(t *testing.T, p *person, _ answered) {
			t.Helper()
			p.open(both[0].issuer + "/account/everywhere")
			p.send("/account/everywhere", nil)
		},
		"whose card is revoked": func(t *testing.T, _ *person, _ answered) {
			t.Helper()
			change(t, "UPDATE cards SET state = 'revoked' WHERE uid = $1")
		},
		"disabled": func(t *testing.T, _ *person, _ answered) {
			t.Helper()
			change(t, "UPDATE people SET profile = 'closed' WHERE uid = $1")
		},
	} {
		t.Run("P8, S6: the tokens of somebody "+how+" stop on both servers", func(t *testing.T) {
			change(t, "UPDATE people SET profile = 'verified' WHERE uid = $1")
			change(t, "UPDATE cards SET state = 'active' WHERE uid = $1")
			p, tokens := both[0].renewable(t, both)
			began := time.Now()
			act(t, p, tokens)
			for _, s := range both {
				until(t, "the token is refused", func() bool {
					return s.userinfo(t, tokens.said("access_token")).status == http.StatusUnauthorized
				})
			}
			t.Logf("both servers refuse it after %s", time.Since(began).Round(time.Millisecond))
			for _, s := range both {
				s.refresh(t, "renews", tokens.said("refresh_token")).wantError(t, http.StatusBadRequest, "invalid_grant")
			}
		})
	}
}

// TestCardStops takes a card from its person at one server, as the registration
// authority does, and shows it to both. How long it takes is in the log: 5
// seconds are promised.
func TestCardStops(t *testing.T) {
	t.Parallel()
	both, _ := productionAt(t, pairIssuer, 2)
	stop := newPerson(t)
	stop.atDeskOf(both[0], manager, "/ra")
	changes := func(kind string) {
		path := "/ra/change/" + kind
		stop.open(both[0].issuer + path + "?serial=" + card(fiveRoles))
		v := stop.hidden(path + "/do")
		v.Set("reason", "lost")
		stop.post(path+"/do", v)
		stop.wantPage(http.StatusOK, "Card")
	}
	refuses := func(s running, said string) bool {
		p := newPerson(t)
		p.open(s.authorizeURL("renews", nil))
		p.link("card=" + card(fiveRoles))
		if !strings.Contains(p.text(), said) { // before its passcode is asked for
			p.send("/login/smartcard/virtual", url.Values{"passcode": {passcode}})
		}
		return p.answer() == nil && strings.Contains(p.text(), said)
	}
	for _, how := range [][2]string{{"card_suspended", "This card is suspended"}, {"card_revoked", "This card has been cancelled"}} {
		t.Run("P8, S6: a card that the registration authority stops at one server opens nothing at the other: "+how[0], func(t *testing.T) {
			stop.t = t
			act, said := how[0], how[1]
			_, tokens := both[1].renewable(t, both)
			began := time.Now()
			changes(act)
			for _, s := range []running{both[1], both[0]} {
				until(t, "the card is refused", func() bool { return refuses(s, said) })
				until(t, "the token is refused", func() bool {
					return s.userinfo(t, tokens.said("access_token")).status == http.StatusUnauthorized
				})
			}
			t.Logf("both servers refuse it after %s", time.Since(began).Round(time.Millisecond))
			if act == "card_suspended" {
				changes("card_resumed")
			}
		})
	}
}

// renewable signs somebody in who may have been stopped a moment ago, and
// returns tokens that all servers know.
func (s running) renewable(t *testing.T, all []running) (p *person, tokens answered) {
	t.Helper()
	until(t, "they may sign in", func() bool {
		p = newPerson(t)
		p.open(s.authorizeURL("renews", nil))
		p.signIn(fiveRoles)
		if p.answer().Get("code") == "" {
			return false
		}
		tokens = s.redeem(t, "renews", p.wantCode(), nil)
		return tokens.status == http.StatusOK
	})
	for _, other := range all {
		other.userinfo(t, tokens.said("access_token")).wantOK(t)
	}
	return p, tokens
}
