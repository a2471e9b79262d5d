package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lanyard-id/lanyard/cmd/lanyard/legacyclient"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/cis1"
)

// ofSSO is the kind of an SSO token.
const ofSSO = "urn:lanyard:token-type:cis1-sso"

func TestSSOExchange(t *testing.T) {
	s := startLegacy(t, nil)
	t.Run("P19: an SSO token is exchanged for what its session is worth", func(t *testing.T) {
		a := s.legacySignedIn(fiveRoles)
		chosen := a.Roles[3].ID
		if _, err := a.Choose(t.Context(), chosen); err != nil {
			t.Fatal(err)
		}
		for client, acr := range map[string]idp.ACR{"exchanges": idp.AAL3Any, "exchanges-n3": idp.AAL3N3Card, "exchanges-card": idp.AAL3Smartcard} {
			made := s.exchange(t, client, a.Ticket, ofSSO, nil)
			made.wantOK(t)
			if made.body["issued_token_type"] != ofAccess || made.body["token_type"] != "Bearer" || made.header.Get("Cache-Control") != "no-store" {
				t.Errorf("%v", made.body)
			}
			seen := s.introspect(t, client, made.said("access_token"))
			for member, want := range map[string]any{"active": true, "sub": fiveRoles, "acr": string(acr), "authentication_assurance_level": "3", "selected_roleid": chosen, "client_id": client} {
				if seen.body[member] != want {
					t.Errorf("%s reads %s: %v, want %v", client, member, seen.body[member], want)
				}
			}
			if amr, _ := seen.body["amr"].([]any); !slices.Equal(amr, []any{"N3_SMARTCARD"}) {
				t.Errorf("amr is %v", seen.body["amr"])
			}
			if info := s.userinfo(t, made.said("access_token")); info.body["sub"] != fiveRoles || info.body["selected_roleid"] != chosen {
				t.Errorf("userinfo says %v", info.body)
			}
		}
		s.exchange(t, "exchanges-cis2", a.Ticket, ofSSO, nil).wantError(t, http.StatusBadRequest, "invalid_target")
	})
	t.Run("P19: once for each client and audience, whatever is asked", func(t *testing.T) {
		a := s.legacySignedIn(oneRole)
		s.exchange(t, "exchanges", a.Ticket, ofSSO, nil).wantOK(t)
		s.exchange(t, "exchanges", a.Ticket, ofSSO, url.Values{"scope": {"openid"}}).wantError(t, http.StatusBadRequest, "invalid_request")
		s.exchange(t, "exchanges", a.Ticket, ofSSO, url.Values{"audience": {"exchanges"}}).wantError(t, http.StatusBadRequest, "invalid_request")
		made := s.exchange(t, "exchanges", a.Ticket, ofSSO, url.Values{"audience": {"records"}})
		made.wantOK(t)
		if made.body["scope"] != "openid profile" {
			t.Errorf("the scopes for another client are %v", made.body["scope"])
		}
		s.exchange(t, "exchanges", a.Ticket, ofSSO, url.Values{"audience": {"records"}}).wantError(t, http.StatusBadRequest, "invalid_request")
		s.exchange(t, "exchanges-post", a.Ticket, ofSSO, nil).wantError(t, http.StatusUnauthorized, "invalid_client") // by Basic
	})
	t.Run("P19: no longer than the session lives, and no role that was not chosen", func(t *testing.T) {
		a := s.legacySignedIn(fiveRoles)
		s.pass(20 * time.Minute)
		s.exchange(t, "exchanges", a.Ticket, ofSSO, nil).wantError(t, http.StatusBadRequest, "invalid_request") // a session of ours would be over
		for range 57 {
			legacyAsks(t, a, "/sessionmanager/session/update", "tokenid")
			s.pass(10 * time.Minute)
		}
		made := s.exchange(t, "exchanges", a.Ticket, ofSSO, nil)
		made.wantOK(t)
		if lives, _ := made.body["expires_in"].(float64); lives < 500 || lives > 600 {
			t.Errorf("a token of a session that has ten minutes left lives %v s", lives)
		}
		if seen := s.introspect(t, "exchanges", made.said("access_token")); seen.body["selected_roleid"] != nil {
			t.Errorf("it reads %v", seen.body)
		}
		s.pass(10*time.Minute + time.Second)
		s.userinfo(t, made.said("access_token")).wantError(t, http.StatusUnauthorized, "invalid_token")
		s.exchange(t, "exchanges-n3", a.Ticket, ofSSO, nil).wantError(t, http.StatusBadRequest, "invalid_request")
	})
	t.Run("P19: with the session everything ends that came of it", func(t *testing.T) {
		a, other := s.legacySignedIn(oneRole), s.legacySignedIn(oneRole)
		made, kept := s.exchange(t, "exchanges", a.Ticket, ofSSO, nil), s.exchange(t, "exchanges", other.Ticket, ofSSO, nil)
		if err := a.SignOut(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.userinfo(t, made.said("access_token")).wantError(t, http.StatusUnauthorized, "invalid_token")
		s.exchange(t, "exchanges-n3", a.Ticket, ofSSO, nil).wantError(t, http.StatusBadRequest, "invalid_request")
		s.userinfo(t, kept.said("access_token")).wantOK(t)
	})
	t.Run("P18: who may not exchange gets nothing, and learns nothing of the token", func(t *testing.T) {
		a := s.legacySignedIn(oneRole)
		s.exchange(t, "basic", a.Ticket, ofSSO, nil).wantError(t, http.StatusBadRequest, "unauthorized_client")
		s.exchange(t, "", a.Ticket, ofSSO, url.Values{"client_id": {"exchanges-public"}}).wantError(t, http.StatusBadRequest, "unauthorized_client")
		for _, token := range []string{"AQIC", a.Ticket + "#", strings.ToLower(a.Ticket), a.Ticket[:len(a.Ticket)-1]} {
			s.exchange(t, "exchanges", token, ofSSO, nil).wantError(t, http.StatusBadRequest, "invalid_request")
		}
		for _, kind := range []string{ofAccess, ofID} {
			s.exchange(t, "exchanges", a.Ticket, kind, nil).wantError(t, http.StatusBadRequest, "invalid_request")
		}
		some := startLegacy(t, func(p *parts) { p.bridge.ExchangeClients = []string{"exchanges-n3"} })
		b := some.legacySignedIn(oneRole)
		some.exchange(t, "exchanges", b.Ticket, ofSSO, nil).wantError(t, http.StatusBadRequest, "unauthorized_client")
		some.exchange(t, "exchanges-n3", b.Ticket, ofSSO, nil).wantOK(t)
	})
	t.Run("own rule: an SSO token is no cookie, no access token and no code, nor is one of these an SSO token", func(t *testing.T) {
		a := s.legacySignedIn(oneRole)
		s.userinfo(t, a.Ticket).wantError(t, http.StatusUnauthorized, "invalid_token")
		s.redeem(t, "exchanges", a.Ticket, nil).wantError(t, http.StatusBadRequest, "invalid_grant")
		made := s.exchange(t, "exchanges", a.Ticket, ofSSO, nil)
		s.exchange(t, "exchanges", made.said("access_token"), ofSSO, nil).wantError(t, http.StatusBadRequest, "invalid_request")
		req := request(t, http.MethodGet, s.authorizeURL("basic", url.Values{"prompt": {"none"}}), nil, "")
		for _, name := range []string{"lanyard-session", "__Host-lanyard-session"} {
			req.AddCookie(&http.Cookie{Name: name, Value: url.QueryEscape(a.Ticket)})
		}
		resp, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if to := resp.Header.Get("Location"); !strings.Contains(to, "error=login_required") {
			t.Errorf("the browser goes to %s", to)
		}
	})
}

// legacyPair are two servers in production that answer the old service, and what
// makes agents at the desks of the first.
func legacyPair(t *testing.T, more map[string]string) (both []running, settings map[string]string, agent func(uid string) *legacyclient.Agent) {
	t.Helper()
	on := map[string]string{"bridge.gateway": "true", "bridge.assertion": "true", "bridge.session_manager": "true", "bridge.exchange": "true", "bridge.sha1": "true"}
	maps.Copy(on, more)
	both, settings, authority := productionWith(t, pairIssuer, 2, func(settings map[string]string) { maps.Copy(settings, on) })
	return both, settings, func(uid string) *legacyclient.Agent {
		a := newLegacyAgent(t, both[0].issuer, authority, uid, card(uid), time.Now())
		a.Bridge = pairIssuer
		return a
	}
}

func TestSSOExchangeOnTwo(t *testing.T) {
	both, settings, agent := legacyPair(t, nil)
	// ends signs out where the agent works: the address that it was told is one
	// name for both servers.
	ends := func(a *legacyclient.Agent) error {
		a.Session["sso_logout_url"] = a.Base + "/login/authlogout"
		return a.SignOut(t.Context())
	}
	t.Run("P19: what one server ended is ended at the other within 5 seconds, and the applications are told", func(t *testing.T) {
		a := agent(oneRole)
		if err := a.SignIn(t.Context()); err != nil {
			t.Fatal(err)
		}
		made := both[1].exchange(t, "exchanges-told", a.Ticket, ofSSO, nil)
		made.wantOK(t)
		sid := both[1].introspect(t, "exchanges-told", made.said("access_token")).said("sid")
		if err := ends(a); err != nil {
			t.Fatal(err)
		}
		ended := time.Now()
		for both[1].userinfo(t, made.said("access_token")).status != http.StatusUnauthorized {
			if time.Since(ended) > 5*time.Second {
				t.Fatal("the token lives on")
			}
			time.Sleep(20 * time.Millisecond)
		}
		for len(ears().of("exchanges-told", sid)) == 0 {
			if time.Since(ended) > 5*time.Second {
				t.Fatal("the application is not told")
			}
			time.Sleep(20 * time.Millisecond)
		}
		both[1].exchange(t, "exchanges", a.Ticket, ofSSO, nil).wantError(t, http.StatusBadRequest, "invalid_request")
	})
	t.Run("P19: a session ends with its card and its person, at both servers, whoever stops them", func(t *testing.T) {
		for what, stop := range map[string]string{
			"the card":   "UPDATE cards SET state = 'suspended' WHERE uid = '" + fiveRoles + "'",
			"the person": "UPDATE people SET profile = 'restricted' WHERE uid = '" + oneRole + "'",
		} {
			uid := map[string]string{"the card": fiveRoles, "the person": oneRole}[what]
			a := agent(uid)
			if err := a.SignIn(t.Context()); err != nil {
				t.Fatal(err)
			}
			made := both[1].exchange(t, "exchanges-told", a.Ticket, ofSSO, nil)
			made.wantOK(t)
			sid := both[1].introspect(t, "exchanges-told", made.said("access_token")).said("sid")
			conn, err := pgx.Connect(t.Context(), settings["postgres.url"])
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
			if _, err := conn.Exec(t.Context(), stop); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			over := func() bool {
				b := *a
				b.Base = both[1].issuer
				_, text, err := b.Ask(t.Context(), "/identity/isTokenValid", url.Values{"tokenid": {a.Ticket}})
				return err == nil && strings.Contains(text, "false") && both[0].userinfo(t, made.said("access_token")).status == http.StatusUnauthorized && len(ears().of("exchanges-told", sid)) > 0
			}
			for !over() {
				if time.Since(began) > 5*time.Second {
					t.Fatalf("%s: it lives on", what)
				}
				time.Sleep(20 * time.Millisecond)
			}
			both[0].exchange(t, "exchanges", a.Ticket, ofSSO, nil).wantError(t, http.StatusBadRequest, "invalid_request")
		}
	})
}

// TestSSORaces lets sessions end while tokens are made of them.
func TestSSORaces(t *testing.T) {
	const races, atOnce = 500, 4
	both, _, agent := legacyPair(t, map[string]string{"policy.begins_each": "0"})
	first := agent("555000000118")
	t.Run(fmt.Sprintf("P19: in %d races between an exchange and the session's end no token outlives it", races), func(t *testing.T) {
		work, failed := make(chan int), make(chan string, races)
		done := make(chan [2]int, atOnce)
		for range atOnce {
			go func() {
				var made, not int
				for i := range work {
					a := *first
					if err := a.SignIn(t.Context()); err != nil {
						failed <- err.Error()
						continue
					}
					a.Session["sso_logout_url"] = a.Base + "/login/authlogout"
					got := make(chan answered, 1)
					go func() {
						got <- both[1].exchange(t, "exchanges", a.Ticket, ofSSO, nil)
					}()
					time.Sleep(time.Duration(i%10) * 400 * time.Microsecond)
					if err := a.SignOut(t.Context()); err != nil {
						failed <- err.Error()
					}
					after := both[1].exchange(t, "exchanges-n3", a.Ticket, ofSSO, nil)
					if after.status == http.StatusOK {
						failed <- "a token was made after the end"
					}
					token := <-got
					if token.status != http.StatusOK {
						not++
						continue
					}
					made++
					for until := time.Now().Add(5 * time.Second); both[1].userinfo(t, token.said("access_token")).status == http.StatusOK; time.Sleep(50 * time.Millisecond) {
						if time.Now().After(until) {
							failed <- "a token lives five seconds after the end"
							break
						}
					}
				}
				done <- [2]int{made, not}
			}()
		}
		for i := range races {
			work <- i
		}
		close(work)
		var made, not int
		for range atOnce {
			n := <-done
			made, not = made+n[0], not+n[1]
		}
		close(failed)
		for what := range failed {
			t.Error(what)
		}
		t.Logf("%d tokens were made before the end, %d were not", made, not)
	})
}

func TestBridgeReport(t *testing.T) {
	_, settings, agent := legacyPair(t, map[string]string{"bridge.desk": "true"})
	p, err := wireProduction(t.Context(), settledOf(t, settings), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	server := httptest.NewServer(p.pages.Routes())
	t.Cleanup(server.Close)
	s := running{issuer: server.URL}
	a := agent(fiveRoles)
	a.Base = server.URL
	if err := a.SignIn(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Choose(t.Context(), a.Roles[0].ID); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/identity/isTokenValid?tokenid="+url.QueryEscape(a.Ticket), nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("User-Agent", "WardList/2.1 (Windows)")
		do(t, req)
	}
	s.exchange(t, "exchanges", a.Ticket, ofSSO, nil).wantOK(t)
	s.exchange(t, "exchanges", a.Ticket, ofSSO, nil).wantError(t, http.StatusBadRequest, "invalid_request")
	b := asNew(agent(fiveRoles))
	b.Base = server.URL
	if err := b.SignIn(t.Context()); err != nil {
		t.Fatal(err)
	}
	f := s.atFront(t, "basic", nil, pairIssuer, time.Now)
	f.shows(f.asks(b.Ticket).said("proof")).wantOK(t)
	for range 2 { // the second time there is nothing to keep
		if err := p.keepUses(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("own rule: the report says who uses what, where, and from when on it is off", func(t *testing.T) {
		settings["bridge.off"] = "WardList:2099-01-01"
		got := lanyard(t, settings, "bridge", "report", "--json")
		var r cis1.Report
		if err := json.Unmarshal([]byte(got.out), &r); err != nil || got.status != 0 {
			t.Fatalf("%d %v\n%s%s", got.status, err, got.out, got.errors)
		}
		today, org := idp.DateOf(time.Now()), a.Roles[0].Org
		atWork := org // nobody can say which it is of those who work at several
		if slices.ContainsFunc(a.Roles, func(r legacyclient.Role) bool { return r.Org != org }) {
			atWork = ""
		}
		for _, want := range []cis1.Line{
			{Application: "WardList", Part: cis1.SessionManager, Call: "istokenvalid", Version: "2.1", Organisation: org, Calls: 3, People: 1, Last: today, Off: "2099-01-01"},
			{Application: "exchanges", Part: cis1.Exchange, Call: "token", Organisation: org, Calls: 1, People: 1, Last: today},
			{Application: "basic", Part: cis1.AtDesk, Call: "proof", Organisation: atWork, Calls: 1, People: 1, Last: today},
			{Application: "legacy-identity-agent", Part: cis1.Gateway, Call: "roleselection", Version: "2.4.10.0", Organisation: org, Calls: 1, People: 1, Last: today},
		} {
			if !slices.Contains(r.Uses, want) {
				t.Errorf("the report lacks %+v:\n%s", want, got.out)
			}
		}
		old := cis1.Seen{Product: "legacy-identity-agent", Version: "2.4.10.0", Organisation: atWork, People: 1, Last: today, Taken: true}
		ours := cis1.Seen{Product: "lanyard-agent", Version: "0.1.0", Organisation: atWork, People: 1, Last: today, Taken: true}
		desk := cis1.Seen{Product: "test-agent", Version: "1.2", Organisation: atWork, People: 1, Last: today, Taken: true}
		if !slices.Equal(r.Agents, []cis1.Seen{ours, old, desk}) || !slices.Equal(r.Estates, []cis1.Estate{{Organisation: atWork, People: 1, Current: 1}}) || r.Current != 1 {
			t.Errorf("the agents are %+v, %+v, %v", r.Agents, r.Estates, r.Current)
		}
		if text := lanyard(t, settings, "bridge", "report"); text.status != 0 || !strings.Contains(text.out, "WardList") || !strings.Contains(text.out, "100 % of people") {
			t.Errorf("%d\n%s%s", text.status, text.out, text.errors)
		}
		if no := lanyard(t, settings, "bridge", "report", "--days", "41"); no.status != exitUsage {
			t.Errorf("%d %s", no.status, no.errors)
		}
	})
}

func TestSwitchedOff(t *testing.T) {
	s := startLegacy(t, func(p *parts) {
		p.bridge.Off = []string{"WardList:2020-01-01", "exchanges:2020-01-01", "Other:2099-01-01"}
	})
	a := s.legacySignedIn(oneRole)
	t.Run("own rule: an application that is switched off is not answered, and others are", func(t *testing.T) {
		for agent, want := range map[string]int{"WardList/2.1 (Windows)": http.StatusForbidden, "WardList": http.StatusForbidden, "Other/1": http.StatusOK, "WardLists/1": http.StatusOK, "": http.StatusOK} {
			req := request(t, http.MethodGet, s.issuer+"/identity/isTokenValid?tokenid="+url.QueryEscape(a.Ticket), nil, "")
			req.Header.Set("User-Agent", agent)
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode != want {
				t.Errorf("%q: %d, want %d", agent, resp.StatusCode, want)
			}
		}
		s.exchange(t, "exchanges", a.Ticket, ofSSO, nil).wantError(t, http.StatusBadRequest, "unauthorized_client")
		s.exchange(t, "exchanges-n3", a.Ticket, ofSSO, nil).wantOK(t)
	})
}
