package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/jackc/pgx/v5"

	"github.com/lanyard-id/lanyard/idp"
)

func codesOfOthers(t *testing.T, w *peerWorld) {
	for _, other := range []string{"pkce", "es256", "exchanges", "public"} {
		code := w.signedIn(t, "basic", oneRole, nil)
		if other == "public" {
			w.redeem(t, "", code, url.Values{"client_id": {other}}).wantError(t, http.StatusBadRequest, "invalid_grant")
		} else {
			w.redeem(t, other, code, nil).wantError(t, http.StatusBadRequest, "invalid_grant")
		}
		w.redeem(t, "basic", code, nil).wantOK(t)
	}
	tokens := w.tokens(t, "exchanges", oneRole, nil)
	w.refresh(t, "basic", tokens.said("refresh_token")).wantError(t, http.StatusBadRequest, "unauthorized_client")
	w.redeem(t, "", "", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {tokens.said("refresh_token")}, "client_id": {"exchanges-post"}, "client_secret": {clientSecret}}).
		wantError(t, http.StatusBadRequest, "invalid_grant")
	w.refresh(t, "exchanges", tokens.said("refresh_token")).wantOK(t)
}

func crossPurposes(t *testing.T, w *peerWorld) {
	p := newPerson(t)
	p.open(w.authorizeURL("exchanges", nil))
	login := p.at.Query().Get("id")
	p.signIn(oneRole)
	code := p.wantCode()
	tokens := w.tokens(t, "exchanges", oneRole, nil)
	claims := payload(t, tokens)
	made := map[string]string{"a login": login, "a code": code, "an access token": tokens.said("access_token"), "a refresh token": tokens.said("refresh_token"),
		"an ID token": tokens.said("id_token"), "the name of an ID token": claims["jti"].(string), "a sid": claims["sid"].(string), "a state": "the state", "a nonce": "the nonce"}
	for _, c := range p.cookies(w.running, "lanyard-") {
		made["the cookie "+c.Name] = c.Value
	}
	uses := map[string]func(value string) answered{
		"a code":           func(v string) answered { return w.redeem(t, "exchanges", v, nil) },
		"a refresh token":  func(v string) answered { return w.refresh(t, "exchanges", v) },
		"an access token":  func(v string) answered { return w.userinfo(t, v) },
		"an ID token":      func(v string) answered { return w.exchange(t, "exchanges", v, ofID, nil) },
		"an access token.": func(v string) answered { return w.exchange(t, "exchanges", v, ofAccess, nil) },
	}
	for use, try := range uses {
		for what, value := range made {
			if what == strings.TrimSuffix(use, ".") {
				continue
			}
			if a := try(value); a.status == http.StatusOK || a.status >= http.StatusInternalServerError {
				t.Errorf("%s as %s: %d, %v", what, use, a.status, a.body)
			}
		}
	}
	for use, try := range uses { // each is good for its own purpose still
		try(made[strings.TrimSuffix(use, ".")]).wantOK(t)
	}
}

func codesOverTime(t *testing.T, w *peerWorld) {
	code, late := w.signedIn(t, "basic", oneRole, nil), w.signedIn(t, "basic", oneRole, nil)
	w.redeem(t, "basic", code, nil).wantOK(t)
	for _, after := range []time.Duration{0, 30 * time.Second, 31 * time.Second, time.Hour, 13 * time.Hour} {
		w.wait(after)
		w.redeem(t, "basic", code, nil).wantError(t, http.StatusBadRequest, "invalid_grant")
	}
	w.redeem(t, "basic", late, nil).wantError(t, http.StatusBadRequest, "invalid_grant")
}

func pkceDowngrades(t *testing.T, w *peerWorld) {
	none := url.Values{"code_challenge": {""}, "code_challenge_method": {""}}
	code := w.signedIn(t, "basic", oneRole, nil)
	for _, v := range []string{"", verifier + "x", idp.Challenge(verifier)} {
		w.redeem(t, "basic", code, url.Values{"code_verifier": {v}}).wantError(t, http.StatusBadRequest, "invalid_grant")
	}
	w.redeem(t, "basic", w.signedIn(t, "basic", oneRole, none), nil).wantError(t, http.StatusBadRequest, "invalid_grant")
	for _, lowered := range []url.Values{none, {"code_challenge_method": {"plain"}}, {"code_challenge_method": {""}}} {
		for _, client := range []string{"public", "pkce"} {
			p := newPerson(t)
			p.open(w.authorizeURL(client, lowered))
			p.wantError("invalid_request")
		}
	}
}

func refreshRace(t *testing.T, w *peerWorld) {
	first := w.tokens(t, "exchanges", oneRole, nil).said("refresh_token")
	var mu sync.Mutex
	var wg sync.WaitGroup
	next := map[string]int{}
	for range 50 {
		wg.Go(func() {
			a := w.refresh(t, "exchanges", first)
			mu.Lock()
			defer mu.Unlock()
			next[a.said("refresh_token")+" "+a.said("access_token")]++
		})
	}
	wg.Wait()
	if len(next) != 1 || next[" "] != 0 {
		t.Errorf("%d different answers", len(next))
	}
}

func refreshAfterRestart(t *testing.T, w *peerWorld) {
	both, settings := w.production(t)
	first := both[0].tokens(t, "exchanges", oneRole, nil).said("refresh_token")
	second := both[0].refresh(t, "exchanges", first)
	third := both[1].refresh(t, "exchanges", second.said("refresh_token"))
	third.wantOK(t)
	s := started(t, settings)
	s.refresh(t, "exchanges", first).wantError(t, http.StatusBadRequest, "invalid_grant")
	for _, s := range append(both, s) { // and that was the end of all of them
		s.refresh(t, "exchanges", third.said("refresh_token")).wantError(t, http.StatusBadRequest, "invalid_grant")
		s.userinfo(t, third.said("access_token")).wantError(t, http.StatusUnauthorized, "invalid_token")
	}
}

func refreshOfTheDisabled(t *testing.T, w *peerWorld) {
	both, settings := w.production(t)
	const uid = "555000000118"
	tokens := both[0].tokens(t, "exchanges", uid, nil)
	code := both[1].signedIn(t, "exchanges", uid, nil)
	sql(t, settings["postgres.url"], `UPDATE people SET profile = 'restricted' WHERE uid = '`+uid+`'`)
	for _, s := range both {
		until(t, "the server has heard of it", func() bool { return s.userinfo(t, tokens.said("access_token")).status == http.StatusUnauthorized })
		s.refresh(t, "exchanges", tokens.said("refresh_token")).wantError(t, http.StatusBadRequest, "invalid_grant")
		s.exchange(t, "exchanges", tokens.said("id_token"), ofID, nil).wantError(t, http.StatusBadRequest, "invalid_request")
		s.redeem(t, "exchanges", code, nil).wantError(t, http.StatusBadRequest, "invalid_grant")
	}
}

func revokeInAnOutage(t *testing.T, _ *peerWorld) {
	s, one := onRedis(t, nil)
	tokens := s.tokens(t, "exchanges", oneRole, nil)
	if err := one.Freeze(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		s.revoke(t, "exchanges", tokens.said("access_token")).wantError(t, http.StatusServiceUnavailable, "temporarily_unavailable")
	}
	if err := one.Thaw(); err != nil {
		t.Fatal(err)
	}
	until(t, "it has recovered", func() bool { return s.revoke(t, "exchanges", tokens.said("access_token")).status == http.StatusOK })
	s.userinfo(t, tokens.said("access_token")).wantError(t, http.StatusUnauthorized, "invalid_token")
	endsUnwritten(t)
}

// endsUnwritten asks for ends while the journal cannot be written.
func endsUnwritten(t *testing.T) {
	servers, settings := productionAt(t, "", 1)
	s := servers[0]
	tokens := s.tokens(t, "exchanges", oneRole, nil)
	p, idToken := s.signsIn(t, fiveRoles)
	conn, err := pgx.Connect(t.Context(), settings["postgres.url"])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	locked, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := locked.Exec(t.Context(), `LOCK TABLE audit_events`); err != nil {
		t.Fatal(err)
	}
	soon(t, func() {
		s.revoke(t, "exchanges", tokens.said("access_token")).wantError(t, http.StatusServiceUnavailable, "temporarily_unavailable")
	})
	soon(t, func() { p.open(s.endSession(url.Values{"id_token_hint": {idToken}})) })
	p.wantPage(http.StatusServiceUnavailable, "ERR-02")
	s.userinfo(t, tokens.said("access_token")).wantOK(t)
	if err := locked.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(t, "it has recovered", func() bool { return s.revoke(t, "exchanges", tokens.said("access_token")).status == http.StatusOK })
	until(t, "the token has ended", func() bool { return s.userinfo(t, tokens.said("access_token")).status == http.StatusUnauthorized })
	p.open(s.endSession(url.Values{"id_token_hint": {idToken}}))
	p.wantSignedOut()
}

func assertionReplay(t *testing.T, w *peerWorld) {
	proof := w.proves("signs").sign(t)
	w.redeem(t, "", w.signedIn(t, "signs", oneRole, nil), proof).wantOK(t)
	for range 2 { // at the one server and at the other
		w.redeem(t, "", w.signedIn(t, "signs", oneRole, nil), proof).wantError(t, http.StatusUnauthorized, "invalid_client")
	}
	tokens := w.redeem(t, "", w.signedIn(t, "exchanges-signs", oneRole, nil), w.proves("exchanges-signs").sign(t))
	once := w.proves("exchanges-signs").sign(t)
	w.exchange(t, "", tokens.said("id_token"), ofID, once).wantOK(t)
	w.exchange(t, "", tokens.said("id_token"), ofID, once).wantError(t, http.StatusUnauthorized, "invalid_client")
	again := maps.Clone(once)
	maps.Copy(again, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {tokens.said("refresh_token")}})
	w.redeem(t, "", "", again).wantError(t, http.StatusUnauthorized, "invalid_client")
}

func mutilatedTokens(t *testing.T, w *peerWorld) {
	token := w.tokens(t, "basic", oneRole, nil).said("access_token")
	for n := range len(token) {
		flipped := []byte(token)
		if flipped[n]++; flipped[n] > 'y' {
			flipped[n] = 'A'
		}
		for _, v := range []string{token[:n], token[n+1:], string(flipped), token[:n] + "=" + token[n:]} {
			if a := w.userinfo(t, v); a.status != http.StatusUnauthorized {
				t.Errorf("with a change at %d: %d", n, a.status)
			}
		}
	}
	w.userinfo(t, token).wantOK(t)
}

// forged signs claims with the service's own key, as a type of message.
func (w *peerWorld) forged(t *testing.T, typ string, claims any) string {
	t.Helper()
	key, ok := w.keys().Signer(idp.P256Key, w.clock())
	if !ok {
		t.Fatal("nothing signs")
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key.Signer, KeyID: key.ID}}, (&jose.SignerOptions{}).WithType(jose.ContentType(typ)))
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := signer.Sign(b)
	if err != nil {
		t.Fatal(err)
	}
	text, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func foreignTypes(t *testing.T, w *peerWorld) {
	tokens := w.tokens(t, "exchanges", oneRole, nil)
	claims := payload(t, tokens)
	claims["events"] = map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}
	for _, typ := range []string{"logout+jwt", "at+jwt", "audit-seal", "jwt"} {
		token := w.forged(t, typ, claims)
		w.exchange(t, "exchanges", token, ofID, nil).wantError(t, http.StatusBadRequest, "invalid_request")
		w.exchange(t, "exchanges", token, ofAccess, nil).wantError(t, http.StatusBadRequest, "invalid_request")
		w.userinfo(t, token).wantError(t, http.StatusUnauthorized, "invalid_token")
		p := newPerson(t)
		p.open(w.authorizeURL("exchanges", url.Values{"id_token_hint": {token}}))
		p.wantError("invalid_request")
	}
	delete(claims, "events")
	w.exchange(t, "exchanges", w.forged(t, "JWT", claims), ofID, nil).wantOK(t) // so it was the type
}

func exchangeTargets(t *testing.T, w *peerWorld) {
	tokens, others := w.tokens(t, "exchanges", oneRole, nil), w.tokens(t, "basic", oneRole, nil)
	doc := aDirectory(t)
	for _, c := range doc.Clients {
		a := w.exchange(t, "exchanges", tokens.said("access_token"), ofAccess, url.Values{"audience": {c.ID}})
		if c.ID == "records" || c.ID == "exchanges" {
			a.wantOK(t)
			continue
		}
		a.wantError(t, http.StatusBadRequest, "invalid_target")
	}
	w.exchange(t, "exchanges", others.said("access_token"), ofAccess, url.Values{"audience": {"records"}}).wantError(t, http.StatusBadRequest, "invalid_request")
	w.exchange(t, "basic", others.said("access_token"), ofAccess, nil).wantError(t, http.StatusBadRequest, "unauthorized_client")
}

func exchangeOfTheDead(t *testing.T, w *peerWorld) {
	tokens := w.tokens(t, "exchanges", oneRole, nil)
	header, rest, _ := strings.Cut(tokens.said("id_token"), ".")
	body, _, _ := strings.Cut(rest, ".")
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: strangeKey}, nil)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := signer.Sign([]byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	foreign := header + "." + body + "." + base64.RawURLEncoding.EncodeToString(jws.Signatures[0].Signature)
	w.exchange(t, "exchanges", foreign, ofID, nil).wantError(t, http.StatusBadRequest, "invalid_request")
	w.revoke(t, "exchanges", tokens.said("refresh_token")).wantOK(t)
	for kind, token := range map[string]string{ofID: tokens.said("id_token"), ofAccess: tokens.said("access_token")} {
		w.exchange(t, "exchanges", token, kind, nil).wantError(t, http.StatusBadRequest, "invalid_request")
	}
}

func missingClaims(t *testing.T, w *peerWorld) {
	tokens := w.tokens(t, "exchanges", oneRole, nil)
	for _, name := range []string{"iss", "aud", "exp", "auth_time", "sub", "sid", "jti"} {
		claims := payload(t, tokens)
		delete(claims, name)
		w.exchange(t, "exchanges", w.forged(t, "JWT", claims), ofID, nil).wantError(t, http.StatusBadRequest, "invalid_request")
	}
	for name, value := range map[string]any{"iss": "https://other.example", "aud": "basic", "exp": w.clock().Unix(), "sub": fiveRoles, "sid": "x"} {
		claims := payload(t, tokens)
		claims[name] = value
		w.exchange(t, "exchanges", w.forged(t, "JWT", claims), ofID, nil).wantError(t, http.StatusBadRequest, "invalid_request")
	}
	for _, name := range []string{"iss", "sub", "aud", "exp", "jti"} {
		a := w.proves("signs")
		delete(a.claims, name)
		w.redeem(t, "", "x", a.sign(t)).wantError(t, http.StatusUnauthorized, "invalid_client")
	}
	a := w.proves("signs")
	a.claims["aud"] = "https://other.example/token"
	w.redeem(t, "", "x", a.sign(t)).wantError(t, http.StatusUnauthorized, "invalid_client")
}

func severalEnds(t *testing.T, w *peerWorld) {
	w.wait(time.Second) // what began before is another second's
	one, two := newPerson(t), newPerson(t)
	one.atAccount(w.running, oneRole)
	two.open(w.authorizeURL("basic", nil))
	two.signIn(oneRole)
	tokens := w.redeem(t, "basic", two.wantCode(), nil)
	revoked := w.tokens(t, "exchanges", oneRole, nil)
	w.revoke(t, "exchanges", revoked.said("access_token")).wantOK(t)
	one.open(w.issuer + "/account/everywhere")
	one.send("/account/everywhere", nil)
	w.wait(time.Second)
	later := w.tokens(t, "basic", oneRole, nil)
	other := newPerson(t)
	other.atAccount(w.running, oneRole)
	for _, sid := range other.sids() {
		if sid != other.thisSid() {
			other.post("/account/sessions/end", url.Values{"sid": {sid}})
			other.wantAccount()
		}
	}
	for _, a := range []answered{tokens, revoked, later} {
		w.userinfo(t, a.said("access_token")).wantError(t, http.StatusUnauthorized, "invalid_token")
	}
	if !other.silent(w.running) {
		t.Error("the one session that was not ended has ended")
	}
}

func introspectionInTurn(t *testing.T, w *peerWorld) {
	tokens := w.tokens(t, "exchanges", oneRole, url.Values{"scope": {"openid profile email"}})
	access := tokens.said("access_token")
	narrow := w.exchange(t, "exchanges", access, ofAccess, url.Values{"scope": {"openid"}}).said("access_token")
	for range 3 {
		for client, active := range map[string]bool{"exchanges": true, "basic": false, "records": false} {
			if a := w.introspect(t, client, access); a.body["active"] != active {
				t.Errorf("%s reads %v", client, a.body)
			}
		}
		for token, scope := range map[string]string{access: "openid profile email", narrow: "openid"} {
			if a := w.introspect(t, "exchanges", token); a.said("scope") != scope {
				t.Errorf("scope %q, want %q", a.said("scope"), scope)
			}
		}
		if a := w.userinfo(t, narrow); len(a.body) != 1 {
			t.Errorf("the narrow token opens %v", a.body)
		}
		if a := w.userinfo(t, access); a.body["email"] == nil {
			t.Errorf("the wide token opens %v", a.body)
		}
	}
}

func loginsAtOnce(t *testing.T, w *peerWorld) {
	people := []string{oneRole, fiveRoles, noRole, "555000000116", "555000000117"}
	t.Run("everybody", func(t *testing.T) {
		for n := range 60 {
			t.Run("one", func(t *testing.T) {
				t.Parallel()
				uid := people[n%len(people)]
				tokens := w.tokens(t, "basic", uid, nil)
				if sub := payload(t, tokens)["sub"]; sub != uid {
					t.Errorf("%v signed in as %s", sub, uid)
				}
				if sub := w.userinfo(t, tokens.said("access_token")).body["sub"]; sub != uid {
					t.Errorf("userinfo of %v, want %s", sub, uid)
				}
			})
		}
	})
}

func switchedOff(t *testing.T, w *peerWorld) {
	both, settings := w.production(t)
	s := both[0]
	tokens, code := s.tokens(t, "all-EdDSA", oneRole, nil), s.signedIn(t, "all-EdDSA", oneRole, nil)
	sql(t, settings["postgres.url"], `DELETE FROM clients WHERE id = 'all-EdDSA'`)
	for _, s := range both {
		until(t, "the server has heard of it", func() bool { return s.userinfo(t, tokens.said("access_token")).status == http.StatusUnauthorized })
		s.redeem(t, "all-EdDSA", code, nil).wantError(t, http.StatusUnauthorized, "invalid_client")
		p := newPerson(t)
		p.open(s.authorizeURL("all-EdDSA", nil))
		p.wantPage(http.StatusBadRequest, "")
	}
	const uid = "555000000117"
	held := s.tokens(t, "exchanges", uid, nil)
	sql(t, settings["postgres.url"], `UPDATE cards SET state = 'suspended' WHERE uid = '`+uid+`'`)
	for _, s := range both {
		until(t, "the server has heard of it", func() bool { return s.userinfo(t, held.said("access_token")).status == http.StatusUnauthorized })
		s.refresh(t, "exchanges", held.said("refresh_token")).wantError(t, http.StatusBadRequest, "invalid_grant")
		s.exchange(t, "exchanges", held.said("id_token"), ofID, nil).wantError(t, http.StatusBadRequest, "invalid_request")
	}
	p := newPerson(t)
	p.open(s.authorizeURL("basic", nil))
	p.link("card=" + card(uid))
	p.wantMessage("CRD-06")
}

func refreshInAnOutage(t *testing.T, _ *peerWorld) {
	s, one := onRedis(t, nil)
	tokens := s.tokens(t, "exchanges", oneRole, nil)
	if err := one.Freeze(); err != nil {
		t.Fatal(err)
	}
	s.refresh(t, "exchanges", tokens.said("refresh_token")).wantError(t, http.StatusServiceUnavailable, "temporarily_unavailable")
	if err := one.Thaw(); err != nil {
		t.Fatal(err)
	}
	var next answered
	until(t, "it has recovered", func() bool {
		next = s.refresh(t, "exchanges", tokens.said("refresh_token"))
		return next.status != http.StatusServiceUnavailable
	})
	next.wantOK(t)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if a := s.refresh(t, "exchanges", next.said("refresh_token")); a.status != http.StatusOK {
				t.Errorf("one of many refreshes: %d, %v", a.status, a.body)
			}
		})
	}
	wg.Wait()
}
