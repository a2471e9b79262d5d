package main

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/lanyard-id/lanyard/idp"
)

func examServer(e *exam) {
	o := e.flow(nil)
	if len(o.code) < 22 {
		e.t.Errorf("the code has %d characters, which is less than 128 bits", len(o.code))
	}
	if life, ok := o.tokens.body["expires_in"].(float64); !ok || life <= 0 {
		e.t.Errorf("expires_in is %v", o.tokens.body["expires_in"])
	}
	if o.claims["nonce"] != o.request.Get("nonce") || o.claims["at_hash"] == nil || !o.asked {
		e.t.Errorf("the ID token says %v; asked %v", o.claims, o.asked)
	}
}

func examResponseTypeMissing(e *exam) {
	answer, _ := e.authorize(e.ask("basic", url.Values{"response_type": {""}}))
	if got := answer.Get("error"); got != "invalid_request" && got != "unsupported_response_type" {
		e.t.Errorf("the client got %v; page: %s", answer, e.person.seen())
	}
}

func examSignature(e *exam) {
	header := headerOf(e.t, e.flow(nil).idToken)
	if kid, _ := header["kid"].(string); header["alg"] != "RS256" || kid == "" {
		e.t.Errorf("the header is %v", header)
	}
}

func examUnsigned(e *exam) {
	if alg := headerOf(e.t, e.flow(nil).idToken)["alg"]; alg == "none" {
		e.t.Error("the ID token is unsigned")
	}
}

func examUserinfoGet(e *exam) {
	o := e.flow(nil)
	e.wantInfo(o, request(e.t, http.MethodGet, e.discovery.text("userinfo_endpoint"), nil, o.access))
}

func examUserinfoPostHeader(e *exam) {
	o := e.flow(nil)
	e.wantInfo(o, request(e.t, http.MethodPost, e.discovery.text("userinfo_endpoint"), nil, o.access))
}

func examUserinfoPostBody(e *exam) {
	o := e.flow(nil)
	e.wantInfo(o, request(e.t, http.MethodPost, e.discovery.text("userinfo_endpoint"), url.Values{"access_token": {o.access}}, ""))
}

// wantInfo asks userinfo, which must speak of the person of o. OIDC Core §5.3.2.
func (e *exam) wantInfo(o outcome, req *http.Request) map[string]any {
	e.t.Helper()
	a := do(e.t, req)
	a.wantOK(e.t)
	if kind := a.header.Get("Content-Type"); !strings.HasPrefix(kind, "application/json") || a.body["sub"] != o.claims["sub"] {
		e.t.Errorf("userinfo comes as %s: %v", kind, a.body)
	}
	return a.body
}

func examWithoutNonce(e *exam) {
	if o := e.flow(url.Values{"nonce": {""}}); o.claims["nonce"] != nil {
		e.t.Errorf("nonce is %v, and none was sent", o.claims["nonce"])
	}
}

// examScope asks for scopes; userinfo must have those claims, and those of no
// other scope.
func examScope(scopes string, claims ...string) func(*exam) {
	return func(e *exam) { e.wantClaims(e.flow(url.Values{"scope": {"openid " + scopes}}), claims...) }
}

// wantClaims asks userinfo for the standard claims that the client has asked
// for, and no more of them.
func (e *exam) wantClaims(o outcome, claims ...string) {
	e.t.Helper()
	info := e.wantInfo(o, request(e.t, http.MethodGet, e.discovery.text("userinfo_endpoint"), nil, o.access))
	for _, name := range []string{"name", "given_name", "family_name", "email", "address", "phone_number"} {
		value, has := info[name]
		if has != slices.Contains(claims, name) || value == "" {
			e.t.Errorf("%s at userinfo is %v", name, value)
		}
	}
}

// examOtherOrder sends everything the other way round.
func examOtherOrder(e *exam) {
	q := e.ask("basic", url.Values{"scope": {"email openid"}})
	pairs := strings.Split(q.Encode(), "&") // by name
	slices.Reverse(pairs)
	e.person.open(e.discovery.text("authorization_endpoint") + "?" + strings.Join(pairs, "&"))
	answer, asked := e.answered(q)
	e.wantClaims(e.finish(q, answer, asked, nil), "email")
}

// examHint sends a parameter that must not be in the way.
func examHint(name, value string) func(*exam) {
	return func(e *exam) { e.flow(url.Values{name: {value}}) }
}

func examPromptLogin(e *exam) {
	first := e.flow(nil)
	e.wait(time.Second)
	second := e.flow(url.Values{"prompt": {"login"}})
	if !second.asked || e.signedInAt(second) <= e.signedInAt(first) {
		e.t.Errorf("asked %v, auth_time %v and then %v", second.asked, first.claims["auth_time"], second.claims["auth_time"])
	}
}

// signedInAt is auth_time, which must be there.
func (e *exam) signedInAt(o outcome) float64 {
	e.t.Helper()
	at, ok := o.claims["auth_time"].(float64)
	if !ok {
		e.t.Errorf("auth_time is %v", o.claims["auth_time"])
	}
	return at
}

// wantSame holds two sign-ins for one: nobody was asked the second time.
func (e *exam) wantSame(first, second outcome) {
	e.t.Helper()
	if second.asked || first.claims["sub"] != second.claims["sub"] || e.signedInAt(first) != e.signedInAt(second) {
		e.t.Errorf("asked %v, first %v, second %v", second.asked, first.claims, second.claims)
	}
}

func examPromptNoneNobody(e *exam) {
	answer, asked := e.authorize(e.ask("basic", url.Values{"prompt": {"none"}, "state": {strings.Repeat("aZ09-._~", 16)}}))
	needsPage := []string{"login_required", "interaction_required", "account_selection_required", "consent_required"}
	if asked || !slices.Contains(needsPage, answer.Get("error")) {
		e.t.Errorf("asked %v, and the client got %v", asked, answer)
	}
}

func examPromptNone(e *exam) {
	first := e.flow(nil)
	e.wantSame(first, e.flow(url.Values{"prompt": {"none"}}))
}

func examMaxAge1(e *exam) {
	first := e.flow(nil)
	e.wait(2 * time.Second) // after one it would still do
	second := e.flow(url.Values{"max_age": {"1"}})
	age := e.now().Sub(time.Unix(int64(e.signedInAt(second)), 0))
	if !second.asked || e.signedInAt(second) <= e.signedInAt(first) || age > time.Minute {
		e.t.Errorf("asked %v, auth_time %v and then %v", second.asked, first.claims["auth_time"], second.claims["auth_time"])
	}
}

func examMaxAge10000(e *exam) {
	first := e.flow(url.Values{"max_age": {"15000"}})
	e.wantSame(first, e.flow(url.Values{"max_age": {"10000"}}))
}

func examIDTokenHint(e *exam) {
	first := e.flow(nil)
	e.wantSame(first, e.flow(url.Values{"prompt": {"none"}, "id_token_hint": {first.idToken}}))
}

func examACRValues(e *exam) {
	all := e.discovery.list("acr_values_supported")
	o := e.flow(url.Values{"acr_values": {strings.Join(all, " ")}})
	if acr, _ := o.claims["acr"].(string); !slices.Contains(all, acr) {
		e.t.Errorf("acr is %q, of %v", acr, all)
	}
}

func examCodeReuse(e *exam) {
	e.redeemed(e.flow(nil), nil).wantError(e.t, http.StatusBadRequest, "invalid_grant")
}

func examCodeReuseLater(e *exam) {
	o := e.flow(nil)
	e.wait(30 * time.Second)
	e.redeemed(o, nil).wantError(e.t, http.StatusBadRequest, "invalid_grant")
	info := request(e.t, http.MethodGet, e.discovery.text("userinfo_endpoint"), nil, o.access)
	do(e.t, info).wantError(e.t, http.StatusUnauthorized, "invalid_token")
}

func examRegisteredRedirect(e *exam) {
	e.wantRefusalPage(e.ask("basic", url.Values{"redirect_uri": {callback + "/" + idp.NewSecret()}}))
}

// wantRefusalPage sends a request after which the browser must stay here.
func (e *exam) wantRefusalPage(q url.Values) {
	e.t.Helper()
	answer, asked := e.authorize(q)
	if answer != nil || asked || len(e.person.hops) != 0 || e.person.status != http.StatusBadRequest {
		e.t.Errorf("asked %v, the client got %v, on the way %v, status %d", asked, answer, e.person.hops, e.person.status)
	}
}

func examPost(e *exam) {
	q := e.ask("basic", nil)
	e.person.hops = nil
	e.person.follow(http.MethodPost, e.discovery.text("authorization_endpoint"), q)
	answer, asked := e.answered(q)
	e.finish(q, answer, asked, nil)
}

func examSecretPost(e *exam) { e.flowOf("post", nil) }

// aRequestObject is q as a request object that nobody signed. OIDC Core §6.1.
func aRequestObject(e *exam, q url.Values) string {
	e.t.Helper()
	claims := map[string]string{"iss": q.Get("client_id"), "aud": e.issuer}
	for name := range q {
		claims[name] = q.Get(name)
	}
	b, err := json.Marshal(claims)
	if err != nil {
		e.t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + base64.RawURLEncoding.EncodeToString(b) + "."
}

func examRequestURI(e *exam) {
	answer, _ := e.authorize(e.ask("basic", url.Values{"request_uri": {"http://localhost:1/request.jwt#" + idp.NewSecret()}}))
	if answer.Get("error") != "request_uri_not_supported" {
		e.t.Errorf("the client got %v", answer)
	}
}

func examRequestObject(e *exam) {
	q := e.ask("basic", nil)
	q.Set("request", aRequestObject(e, q))
	if answer, _ := e.authorize(q); answer.Get("error") != "request_not_supported" {
		e.t.Errorf("the client got %v", answer)
	}
}

func examRequestObjectRedirect(e *exam) {
	q := e.ask("basic", nil)
	q.Set("request", aRequestObject(e, q))
	q.Set("redirect_uri", callback+"/"+idp.NewSecret())
	e.wantRefusalPage(q)
}

func examClaimsEssential(e *exam) {
	o := e.flow(url.Values{"claims": {`{"userinfo":{"name":{"essential":true}}}`}})
	e.wantClaims(o, "name")
}

var refreshLetters = regexp.MustCompile(`^[\x20-\x7e]{22,}$`) // RFC 6749 appendix A.17

func examRefresh(e *exam) {
	if !slices.Contains(e.discovery.list("grant_types_supported"), "refresh_token") {
		e.t.Error("discovery does not list the grant")
	}
	refresh := func(client, token, scope string) answered {
		form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}
		if scope != "" {
			form.Set("scope", scope)
		}
		return e.token(client, form)
	}
	renewed := func(client, scope string) (token string) {
		o := e.flowOf(client, nil)
		first, _ := o.tokens.body["refresh_token"].(string)
		e.wait(time.Second)
		tokens := refresh(client, first, scope)
		access, _, claims := e.checked(o.request, tokens)
		for _, name := range []string{"iss", "sub", "aud", "azp", "auth_time", "sid"} {
			wantSame(e.t, name+" after the refresh", claims[name], o.claims[name])
		}
		if before, after := o.claims["iat"].(float64), claims["iat"].(float64); after <= before || access == o.access {
			e.t.Errorf("iat %v and then %v, or the access token is the same", before, after)
		}
		e.wantInfo(o, request(e.t, http.MethodGet, e.discovery.text("userinfo_endpoint"), nil, access))
		token, _ = tokens.body["refresh_token"].(string)
		if !refreshLetters.MatchString(first) || !refreshLetters.MatchString(token) {
			e.t.Errorf("the refresh tokens are %q and %q", first, token)
		}
		return token
	}
	renewed("renews", "openid")
	token := renewed("renews-too", "")
	refresh("renews", token, "").wantError(e.t, http.StatusBadRequest, "invalid_grant")
	refresh("renews-too", token, "").wantOK(e.t)
}

func examPKCE(e *exam) {
	q := e.ask("basic", url.Values{"code_challenge": {idp.Challenge(verifier)}, "code_challenge_method": {"S256"}})
	answer, asked := e.authorize(q)
	e.finish(q, answer, asked, url.Values{"code_verifier": {verifier}})
}
