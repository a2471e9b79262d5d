package main

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// pairIssuer is the issuer of two servers that are reached each by itself.
const pairIssuer = "http://localhost:1"

// pair runs two servers on one registry and one Redis, as they stand behind a
// balancer.
func pair(t *testing.T) []running {
	t.Helper()
	p := aParts(t, pairIssuer, time.Now, aMiniredis(t))
	both := make([]running, 2)
	for i := range both {
		server := httptest.NewServer(p.withVirtualCards(t).pages.Routes())
		t.Cleanup(server.Close)
		both[i] = running{issuer: server.URL, log: p.logged}
	}
	return both
}

func TestTwoServers(t *testing.T) {
	t.Parallel()
	t.Run("memory", func(t *testing.T) { twoServers(t, pair(t)) })
	t.Run("PostgreSQL and Redis", func(t *testing.T) {
		both, _ := productionAt(t, pairIssuer, 2)
		twoServers(t, both)
	})
}

func twoServers(t *testing.T, both []running) {
	t.Helper()
	atOnce := func(ask func(s running) answered) (won int32) {
		var n atomic.Int32
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				if ask(both[i%2]).status == http.StatusOK {
					n.Add(1)
				}
			})
		}
		wg.Wait()
		return n.Load()
	}
	t.Run("P11: of one assertion shown to two servers at once one wins", func(t *testing.T) {
		a := both[0].anAssertion("signs")
		a.claims["aud"] = pairIssuer + "/token"
		form := a.sign(t)
		codes := make(chan string, 20)
		for range cap(codes) {
			codes <- both[0].signedIn(t, "signs", oneRole, nil)
		}
		if won := atOnce(func(s running) answered { return s.redeem(t, "", <-codes, form) }); won != 1 {
			t.Errorf("%d tokens for one assertion", won)
		}
	})
	t.Run("P4: of one code shown to two servers at once one wins", func(t *testing.T) {
		code := both[1].signedIn(t, "basic", oneRole, nil)
		if won := atOnce(func(s running) answered { return s.redeem(t, "basic", code, nil) }); won != 1 {
			t.Errorf("%d tokens for one code", won)
		}
	})
	t.Run("own rule: each step of a sign-in may meet another server", func(t *testing.T) {
		p := newPerson(t)
		p.open(both[0].authorizeURL("basic", url.Values{"scope": {"openid selectedrole"}}))
		p.at.Host = host(t, both[1])
		p.signIn(fiveRoles)
		p.at.Host = host(t, both[0])
		p.send("/login/role", url.Values{"role": {firstRole(p)}})
		both[1].redeem(t, "basic", p.wantCode(), nil).wantOK(t)
	})
}

func host(t *testing.T, s running) string {
	t.Helper()
	u, err := url.Parse(s.issuer)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

// firstRole is the first role that the page offers.
func firstRole(p *person) string {
	for in := range p.all("input") {
		if attr(in, "type") == "radio" {
			return attr(in, "value")
		}
	}
	return ""
}
