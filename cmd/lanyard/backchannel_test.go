package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/jackc/pgx/v5"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// worksIn lets who is signed in at the browser work in client, and returns its
// ID token and the sid in it.
func (p *person) worksIn(s running, client string) (idToken, sid string) {
	p.t.Helper()
	p.open(s.authorizeURL(client, anyLevel))
	tokens := s.redeem(p.t, client, p.wantCode(), nil)
	claims := payload(p.t, tokens)
	idToken, _ = tokens.body["id_token"].(string)
	sid, _ = claims["sid"].(string)
	return idToken, sid
}

// atWork signs in in a browser of its own, and works in client.
func (s running) atWork(t *testing.T, client, uid string) (p *person, idToken, sid string) {
	t.Helper()
	p = s.asks(t)
	p.signIn(uid)
	p.wantCode()
	idToken, sid = p.worksIn(s, client)
	return p, idToken, sid
}

func TestBackchannelLogout(t *testing.T) { onEveryStage(t, backchannelLogout) }

func backchannelLogout(t *testing.T, s running) {
	t.Helper()
	t.Run("oidcc-backchannel-logout-discovery-endpoint-verification", func(t *testing.T) {
		d := do(t, request(t, http.MethodGet, s.issuer+"/.well-known/openid-configuration", nil, ""))
		for _, name := range []string{"backchannel_logout_supported", "backchannel_logout_session_supported"} {
			wantSame(t, name, d.body[name], true)
		}
	})
	t.Run("oidcc-backchannel-rp-initiated-logout", func(t *testing.T) {
		for client, alg := range map[string]string{"told": "RS256", "told-es256": "ES256"} {
			p, idToken, sid := s.atWork(t, client, oneRole)
			p.open(s.endSession(url.Values{"id_token_hint": {idToken}, "post_logout_redirect_uri": {signedOutAt}, "state": {"s"}}))
			if p.wentTo() != signedOutAt+"?state=s" {
				t.Errorf("it leads to %q", p.wentTo())
			}
			until(t, "the application is told", func() bool { return len(ears().of(client, sid)) > 0 })
			told := ears().of(client, sid)[0]
			if told.header["typ"] != "logout+jwt" || told.header["alg"] != alg {
				t.Errorf("its header is %v", told.header)
			}
			wantLogoutToken(t, s, client, sid, told)
			if p.silent(s) {
				t.Error("somebody is still signed in")
			}
		}
	})
	t.Run("P12: a logout token stands in for nothing else", func(t *testing.T) {
		p, idToken, sid := s.atWork(t, "told", oneRole)
		p.open(s.endSession(url.Values{"id_token_hint": {idToken}}))
		told := ears().wantTold(t, sid).token
		p, _, _ = s.atWork(t, "told", oneRole)
		p.open(s.endSession(url.Values{"id_token_hint": {told}}))
		p.wantAsked(s)
		p.open(s.authorizeURL("told", url.Values{"prompt": {"none"}, "id_token_hint": {told}}))
		p.wantError("invalid_request")
		s.userinfo(t, told).wantError(t, http.StatusUnauthorized, "invalid_token")
		s.redeem(t, "told", told, nil).wantError(t, http.StatusBadRequest, "invalid_grant")
	})
	t.Run("own rule: each application that was used in the session is told, once, and no other", func(t *testing.T) {
		p, _, sid := s.atWork(t, "told", oneRole)
		p.worksIn(s, "told")
		p.worksIn(s, "told-es256")
		_, _, other := s.atWork(t, "told", oneRole)
		p.open(s.issuer + "/account")
		p.post("/login/change", nil)
		ears().wantTold(t, sid)
		until(t, "the other application is told", func() bool { return len(ears().of("told-es256", sid)) > 0 })
		if n := len(ears().of("told", sid)); n != 1 || len(ears().of("told", other)) != 0 {
			t.Errorf("told %d times, and of another session %d", n, len(ears().of("told", other)))
		}
	})
	t.Run("S7: applications are told that whoever was at the desk is not any more, and not when the same person signs in again", func(t *testing.T) {
		p, _, first := s.atWork(t, "told", fiveRoles)
		p.open(s.authorizeURL("told", url.Values{"prompt": {"login"}}))
		p.signIn(fiveRoles)
		if again := s.claims(t, "told", p.wantCode())["sid"]; again != first {
			t.Errorf("the session is called %v now, and was %s", again, first)
		}
		p.open(s.authorizeURL("told", url.Values{"prompt": {"login"}}))
		p.signIn(oneRole)
		second := s.claims(t, "told", p.wantCode())["sid"]
		if told := ears().wantTold(t, first); told.claims["sub"] != fiveRoles || second == first {
			t.Errorf("told of %v, and the session is called %v now", told.claims["sub"], second)
		}
		_, sid := p.worksIn(s, "told")
		if sid != second || len(ears().of("told", sid)) != 0 {
			t.Error("the session of who is there now has ended too")
		}
	})
	t.Run("S6: applications are told of what is ended in the account, by whatever it was signed in with", func(t *testing.T) {
		first, k := newPerson(t), aKey(t)
		first.atAccount(s, oneRole)
		id := first.addsKey(s, k, "Blue key")
		_, own := first.worksIn(s, "told")
		with := func() string {
			p := s.asks(t)
			p.usesKey(s, k)
			p.wantCode()
			_, sid := p.worksIn(s, "told")
			return sid
		}
		one, byKey := with(), with()
		first.open(s.issuer + "/account")
		first.post("/account/sessions/end", url.Values{"sid": {one}})
		ears().wantTold(t, one)
		first.post("/account/remove", url.Values{"which": {id}})
		ears().wantTold(t, byKey)
		if len(ears().of("told", own)) != 0 {
			t.Error("and of the card's session")
		}
		second, _, elsewhere := s.atWork(t, "told", oneRole)
		second.open(s.issuer + "/account")
		second.post("/account/everywhere", nil)
		ears().wantTold(t, own)
		ears().wantTold(t, elsewhere)
	})
}

// wantLogoutToken checks what a client checks, by a library that knows nothing
// of us, and that every member is there that clients are known to look for.
func wantLogoutToken(t *testing.T, s running, client, sid string, told heard) {
	t.Helper()
	provider, err := oidc.NewProvider(t.Context(), s.issuer)
	if err != nil {
		t.Fatal(err)
	}
	token, err := provider.VerifierContext(context.Background(), &oidc.Config{ClientID: client}).VerifyLogout(t.Context(), told.token)
	if err != nil {
		t.Fatal(err)
	}
	if token.SessionID != sid || token.Subject != oneRole || token.Expiry.Sub(token.IssuedAt) > 2*time.Minute || time.Since(token.IssuedAt) > time.Minute {
		t.Errorf("it is %+v", token)
	}
	for _, name := range []string{"iss", "sub", "aud", "iat", "exp", "jti", "sid", "events"} {
		if _, has := told.claims[name]; !has {
			t.Errorf("it has no %s", name)
		}
	}
	wantSame(t, "aud", told.claims["aud"], client)
	wantSame(t, "events", told.claims["events"], map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}})
	if len(told.claims) != 8 {
		t.Errorf("it says more: %v", told.claims)
	}
}

func TestBackchannelInTime(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	t.Run("S4: an application is told when its session idles out, also when time was moved on, and its tokens have their hour", func(t *testing.T) {
		p, _, sid := s.atWork(t, "told", oneRole)
		token, _ := p.aToken(s)
		s.advance(t, "14m")
		s.userinfo(t, token).wantOK(t)
		s.advance(t, "2m")
		ears().wantTold(t, sid)
		s.userinfo(t, token).wantOK(t)
		until(t, "the page for developers says so", func() bool {
			p.open(s.issuer + "/dev/logouts")
			return strings.Contains(p.text(), "told session "+sid) && strings.Contains(p.text(), "told, 200")
		})
	})
	t.Run("own rule: the demo application is signed out by what it is told, and signs out of everything", func(t *testing.T) {
		p := newPerson(t)
		p.open(s.rp + "/login")
		p.signIn(oneRole)
		p.wantPage(http.StatusOK, "You are signed in as Dr Asha Smith")
		_, sid := p.worksIn(s, "told")
		p.open(s.issuer + "/account")
		p.post("/login/change", nil)
		until(t, "the demo application knows", func() bool {
			p.open(s.rp + "/")
			return strings.Contains(p.text(), "Sign in to see who is coming today.")
		})
		ears().wantTold(t, sid)

		p.open(s.rp + "/login")
		p.signIn(oneRole)
		_, sid = p.worksIn(s, "told")
		p.open(s.rp + "/")
		p.send("/sign-out", nil)
		p.wantPage(http.StatusOK, "Sign in to see who is coming today.")
		ears().wantTold(t, sid)
		if p.silent(s) {
			t.Error("somebody is still signed in")
		}
	})
}

func TestBackchannelByHand(t *testing.T) {
	t.Parallel()
	both, settings := productionAt(t, pairIssuer, 2)
	conn, err := pgx.Connect(t.Context(), settings["postgres.url"])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	t.Run("S6: applications are told of whom an operator stops at a terminal", func(t *testing.T) {
		for _, change := range []string{
			"UPDATE people SET profile = 'restricted' WHERE uid = $1",
			"UPDATE cards SET state = 'revoked' WHERE uid = $1",
			"DELETE FROM people WHERE uid = $1",
		} {
			for _, undo := range []string{"UPDATE people SET profile = 'verified' WHERE uid = $1", "UPDATE cards SET state = 'active' WHERE uid = $1"} {
				if _, err := conn.Exec(t.Context(), undo, fiveRoles); err != nil {
					t.Fatal(err)
				}
			}
			until(t, "they may sign in", func() bool {
				p := both[0].asks(t)
				p.signIn(fiveRoles)
				return p.answer().Get("code") != ""
			})
			p, _, sid := both[0].atWork(t, "told", fiveRoles)
			token, code := p.aToken(both[0])
			if _, err := conn.Exec(t.Context(), change, fiveRoles); err != nil {
				t.Fatal(err)
			}
			ears().wantTold(t, sid)
			for _, s := range both {
				until(t, "the token is refused", func() bool { return s.userinfo(t, token).status == http.StatusUnauthorized })
			}
			both[1].redeem(t, "basic", code, nil).wantError(t, http.StatusBadRequest, "invalid_grant")
		}
	})
	t.Run("own rule: of two servers one tells, each time", func(t *testing.T) {
		const sessions = 15
		var sids []string
		for range sessions {
			_, _, sid := both[0].atWork(t, "told", oneRole)
			sids = append(sids, sid)
		}
		p := newPerson(t)
		p.atAccount(both[1], oneRole)
		p.open(both[1].issuer + "/account/everywhere")
		p.send("/account/everywhere", nil)
		for _, sid := range sids {
			ears().wantTold(t, sid)
		}
		until(t, "nothing waits", func() bool {
			return count(t, settings["postgres.url"], "SELECT count(*) FROM logouts WHERE result = ''") == 0
		})
		for _, sid := range sids {
			if n := len(ears().of("told", sid)); n != 1 {
				t.Errorf("the application was told of %s %d times", sid, n)
			}
		}
	})
	t.Run("own rule: a doctor says what waits and what failed", func(t *testing.T) {
		if _, err := conn.Exec(t.Context(), "INSERT INTO logouts (sid, client, uid, due, result, said, said_at) VALUES ('a', 'told', $1, '2030-01-01', 'given_up', 'timeout', '2030-01-01'), ('b', 'told', $1, '2090-01-01', '', '503', '2030-01-01')", oneRole); err != nil {
			t.Fatal(err)
		}
		if got := lanyard(t, settings, "doctor"); !strings.Contains(got.out, `warn  backchannel: client "told": 1 logouts wait and 1 failed within a day; it said "`) {
			t.Errorf("it says\n%s", got.out)
		}
	})
}

func TestCrowdOfApplications(t *testing.T) {
	t.Parallel()
	servers, settings := productionAt(t, "", 1)
	s := servers[0]
	conn, err := pgx.Connect(t.Context(), settings["postgres.url"])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	if _, err := conn.Exec(t.Context(), `INSERT INTO clients (id, secret_hash, auth_method, redirect_uris, backchannel_logout_uri, scopes, grants, id_token_alg, acr_default)
		SELECT 'crowd-' || n, secret_hash, auth_method, redirect_uris, replace(backchannel_logout_uri, 'told', 'crowd-' || n), scopes, grants, id_token_alg, acr_default
		FROM clients, generate_series(0, 49) AS n WHERE id = 'told'`); err != nil {
		t.Fatal(err)
	}
	var inner atomic.Int64
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { inner.Add(1) }))
	t.Cleanup(inside.Close)
	h := ears()
	h.mu.Lock()
	h.answers["crowd-0"] = func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-time.After(30 * time.Second):
		}
	}
	h.answers["crowd-1"] = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }
	h.answers["crowd-2"] = func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, inside.URL, http.StatusFound) }
	h.answers["crowd-3"] = func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	h.mu.Unlock()
	t.Run("P16: of 50 applications of which one hangs, one fails, one leads inside and one hangs up, the others are told", func(t *testing.T) {
		p := s.asks(t)
		p.signIn(oneRole)
		p.wantCode()
		var idToken, sid string
		for i := range 50 {
			idToken, sid = p.worksIn(s, fmt.Sprint("crowd-", i))
		}
		began := time.Now()
		p.open(s.endSession(url.Values{"id_token_hint": {idToken}}))
		p.wantSignedOut()
		until(t, "46 applications are told", func() bool {
			return count(t, settings["postgres.url"], "SELECT count(*) FROM logouts WHERE result = 'told'") >= 46
		})
		if took := time.Since(began); took > 15*time.Second {
			t.Errorf("it took %v", took)
		}
		for i := 4; i < 50; i++ {
			if n := len(h.of(fmt.Sprint("crowd-", i), sid)); n != 1 {
				t.Errorf("crowd-%d was told %d times", i, n)
			}
		}
		until(t, "the others are tried again", func() bool {
			return count(t, settings["postgres.url"], "SELECT count(*) FROM logouts WHERE result = '' AND tries > 1") == 4
		})
		if inner.Load() != 0 {
			t.Error("what stands inside was called")
		}
		if counted := s.counted(t); !strings.Contains(counted, `lanyard_backchannel_total{result="told"} 46`) || !strings.Contains(counted, "lanyard_backchannel_seconds_count 46") {
			t.Error("the metrics do not say so")
		}
	})
}

func TestLogoutsOutliveServers(t *testing.T) {
	t.Parallel()
	settings := aProduction(t)
	settings["backchannel.networks"] = "127.0.0.0/8"
	h := newHearing()
	t.Cleanup(h.server.Close)
	h.answers["ward"] = func(http.ResponseWriter, *http.Request) { time.Sleep(20 * time.Millisecond) } // so that there is a middle
	store, done, err := openProduction(t.Context(), settledOf(t, settings), discard(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	ward := directory.Client{ID: "ward", AuthMethod: idp.NoAuth, IDTokenAlg: "RS256", ACRDefault: idp.AAL3Any, MinLevel: 1, BackchannelLogoutURI: h.address("ward")}
	if err := store.Load(t.Context(), directory.Document{Clients: []directory.Client{ward}}, ""); err != nil {
		t.Fatal(err)
	}
	t.Run("own rule: a server that is killed in the middle loses no logout, and none comes twice but one whose answer was lost", func(t *testing.T) {
		const sessions = 100
		both := []*serving{serveOn(t, settings), serveOn(t, settings)}
		for i := range sessions {
			sid := fmt.Sprint("s", i)
			err1 := store.Record(t.Context(), idp.Event{At: time.Now(), Kind: idp.TokenIssued, Tell: &idp.Watch{SID: sid, Client: "ward", Subject: oneRole}})
			err2 := store.Record(t.Context(), idp.Event{At: time.Now(), Kind: idp.SessionEnded}, idp.Fence{Kind: idp.SIDFence, Hash: sid})
			if err := errors.Join(err1, err2); err != nil {
				t.Fatal(err)
			}
		}
		heard := func() (n int) { h.mu.Lock(); defer h.mu.Unlock(); return len(h.heard["ward"]) }
		until(t, "some came", func() bool { return heard() >= 20 })
		both[0].signal(t, syscall.SIGKILL)
		// What the dead one had in hand is anybody's after a quarter of a minute.
		for limit := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
			if count(t, settings["postgres.url"], "SELECT count(*) FROM logouts WHERE result = 'told'") == sessions {
				break
			}
			if time.Now().After(limit) {
				t.Fatalf("%d came in a minute", heard())
			}
		}
		twice := 0
		for i := range sessions {
			switch n := len(h.of("ward", fmt.Sprint("s", i))); n {
			case 1:
			case 2:
				twice++
			default:
				t.Errorf("s%d came %d times", i, n)
			}
		}
		if twice > 1 {
			t.Errorf("%d came twice", twice)
		}
		if log := both[1].logged(t); strings.Contains(log, "eyJ") {
			t.Errorf("the log has a token:\n%s", log)
		}
	})
}

func TestApplicationsInside(t *testing.T) {
	var called atomic.Int64
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called.Add(1) }))
	t.Cleanup(inside.Close)
	outside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, inside.URL, http.StatusTemporaryRedirect)
	}))
	t.Cleanup(outside.Close)
	post := func(by *http.Client, address string) (*http.Response, error) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader("logout_token=x"))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := by.Do(req)
		if err == nil {
			_ = resp.Body.Close()
		}
		return resp, err
	}
	t.Run("P16: no application stands inside our own network, unless it is named, whatever its name leads to", func(t *testing.T) {
		for _, address := range []string{inside.URL, strings.Replace(inside.URL, "127.0.0.1", "localhost", 1)} {
			if _, err := post(newApplications(false), address); err == nil || !strings.Contains(err.Error(), "inside our own network") {
				t.Errorf("%s: %v", address, err)
			}
		}
		if called.Load() != 0 {
			t.Error("it was called")
		}
	})
	t.Run("P16: no redirect is followed", func(t *testing.T) {
		resp, err := post(newApplications(true), outside.URL)
		if err != nil || resp.StatusCode != http.StatusTemporaryRedirect || called.Load() != 0 {
			t.Errorf("%v, and what it leads to was called %d times", err, called.Load())
		}
	})
}
