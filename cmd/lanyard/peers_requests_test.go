package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// refusesRedirects checks that a client is sent to none of these addresses,
// whatever else the request has.
func (s running) refusesRedirects(t *testing.T, client string, uris ...string) {
	t.Helper()
	for _, uri := range uris {
		for _, more := range []url.Values{{}, {"prompt": {"none"}}} {
			more.Set("redirect_uri", uri)
			p := newPerson(t)
			p.open(s.authorizeURL(client, more))
			if p.status != http.StatusBadRequest || len(p.hops) != 0 {
				t.Errorf("%q, prompt %q: %d, led by %v", uri, more.Get("prompt"), p.status, p.hops)
			}
		}
	}
}

func redirectHosts(t *testing.T, w *peerWorld) {
	w.refusesRedirects(t, "basic", "http://localhost:1@evil.example/callback", "http://localhost:1%40evil.example/callback", "http://evil.example@localhost:1/callback",
		`http://localhost:1\@evil.example/callback`, "http://localhost:1#@evil.example/callback", "http://localhost:1.evil.example/callback", "//localhost:1/callback", "http:localhost:1/callback")
}

func redirectPatterns(t *testing.T, w *peerWorld) {
	w.refusesRedirects(t, "basic", "http://localhostx1/callback", "http://localhost:1/callbackx", "http://localhost:1/callbac", "http://localhost:1/callback?tenant=a b", "http://localhost:1/callback?tenant=ab")
	dotted := idp.Client{RedirectURIs: []string{"https://ward.example/cb", "https://ward.example/(a|b)"}}
	for _, uri := range []string{"https://wardxexample/cb", "https://ward.example/a", "https://ward.example/cbb"} {
		if err := dotted.Redirect(uri); !errors.Is(err, idp.ErrRedirect) {
			t.Errorf("%s: %v", uri, err)
		}
	}
}

func redirectPaths(t *testing.T, w *peerWorld) {
	w.refusesRedirects(t, "basic", callback+"/..;/x", callback+"/../callback", "http://localhost:1/x/../callback", "http://localhost:1/%63allback", "http://localhost:1/callback%2f..", callback+"%252f",
		"http://localhost:1/x/..;/callback", "http://localhost:1//callback", "http://127.0.0.1:1/callback", callback+"%00", callback+"%0d%0a", callback+"\t")
	for _, pattern := range []string{"https://*.example/cb", "https://ward.example/*", "http://localhost*/cb", "https://ward.example/cb#x", "https://me@ward.example/cb", `https://ward.example\cb`, "javascript:alert(1)", "http://ward.example/cb"} {
		if _, err := directory.Read(strings.NewReader(fmt.Sprintf("clients: [{id: x, redirect_uris: [%q]}]", pattern))); err == nil {
			t.Errorf("%s can be registered", pattern)
		}
	}
}

func redirectLoopback(t *testing.T, w *peerWorld) {
	w.refusesRedirects(t, "demo-public", "http://127.0.0.1.evil.example/callback", "http://127.0.0.1:80@evil.example/callback", "http://127.0.0.2/callback", "http://localhost/callback",
		"HTTP://127.0.0.1/callback", "http://127.0.0.1/Callback", "https://127.0.0.1/callback", "http://127.0.0.1:99999/callback", "http://127.0.0.1:80/callback/x", "http://0177.0.0.1/callback", "http://[::ffff:127.0.0.1]/callback")
	w.refusesRedirects(t, "public", "http://localhost:2/callback")
	p := newPerson(t)
	p.open(w.authorizeURL("demo-public", url.Values{"redirect_uri": {"http://127.0.0.1:51004/callback"}}))
	p.wantPage(http.StatusOK, "Sign in to")
}

func redirectErrors(t *testing.T, w *peerWorld) {
	for _, wrong := range []url.Values{{"prompt": {"none"}}, {"scope": {"x"}}, {"response_type": {"token"}}, {"request": {"x.y.z"}}, {"request_uri": {"https://rp.example/r"}}, {"acr_values": {"urn:x"}}, {"claims": {"x"}}, {"response_mode": {"fragment"}}} {
		for _, redirect := range []url.Values{{"redirect_uri": {"https://evil.example/cb"}}, {"redirect_uri": {""}}, {"client_id": {"nobody"}}} {
			ask := url.Values{}
			for _, part := range []url.Values{wrong, redirect} {
				for name, values := range part {
					ask[name] = values
				}
			}
			p := newPerson(t)
			p.open(w.authorizeURL("basic", ask))
			if p.status != http.StatusBadRequest || len(p.hops) != 0 {
				t.Errorf("%v: %d, led by %v", ask, p.status, p.hops)
			}
		}
	}
}

func restartedRequest(t *testing.T, w *peerWorld) {
	p := newPerson(t)
	p.open(w.authorizeURL("basic", nil))
	another := "&" + url.Values{"response_type": {"token"}, "redirect_uri": {"https://evil.example/cb"}, "client_id": {"es256"}, "scope": {"openid email"}, "response_mode": {"fragment"}, "state": {"theirs"}, "acr_values": {"AAL2_ANY"}}.Encode()
	p.open(p.at.String() + another)
	p.signIn(oneRole)
	code := p.wantCode()
	if a := p.answer(); len(a) != 4 || a.Get("state") != "the state" || a.Get("client_id") != "basic" || len(p.hops) != 1 {
		t.Errorf("the client got %v, by %v", a, p.hops)
	}
	if a := w.redeem(t, "basic", code, nil); a.said("scope") != "openid profile" || payload(t, a)["acr"] != "AAL3_ANY" {
		t.Errorf("%v", a.body)
	}
}

func pushedRequests(t *testing.T, w *peerWorld) {
	signedIn := newPerson(t)
	signedIn.open(w.authorizeURL("basic", nil))
	signedIn.signIn(oneRole)
	for _, p := range []*person{newPerson(t), signedIn} {
		for _, more := range []url.Values{{}, {"prompt": {"none"}}, {"prompt": {"login"}}, {"response_type": {""}}} {
			more.Set("request_uri", "urn:ietf:params:oauth:request_uri:x")
			p.open(w.authorizeURL("basic", more))
			p.wantError("request_uri_not_supported")
		}
	}
}

func innerAddresses(t *testing.T, w *peerWorld) {
	both, _ := w.production(t)
	var asked atomic.Int64
	l, err := net.Listen("tcp", fmt.Sprintf("localhost:%d", keysPort))
	if err != nil {
		t.Fatal(err)
	}
	inner := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		http.Redirect(w, r, "http://169.254.169.254/latest", http.StatusFound)
	}))
	inner.Listener = l
	inner.Start()
	defer inner.Close()
	proof := both[0].anAssertion("signs-afar")
	proof.claims["aud"] = pairIssuer + "/token"
	both[0].redeem(t, "", "x", proof.sign(t)).wantError(t, http.StatusUnauthorized, "invalid_client")
	if n := asked.Load(); n != 0 {
		t.Errorf("the service asked inside its own network, %d times", n)
	}
	// Where its own computer may be asked, a redirect is not followed, and every
	// address is looked at when it is dialled, whatever its name said before.
	resp, err := newOutside(true).Get(inner.URL)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusFound || asked.Load() != 1 {
		t.Errorf("%d, asked %d times", resp.StatusCode, asked.Load())
	}
	for _, address := range []string{"10.0.0.1:443", "192.168.1.1:443", "172.16.0.1:443", "169.254.169.254:80", "[fd00::1]:443", "[fe80::1%eth0]:443", "[::ffff:10.0.0.1]:443", "100.64.0.1:443", "0.0.0.0:80", "[64:ff9b::a00:1]:443", "[2002:a00:1::]:443"} {
		if guard(address, true) == nil {
			t.Errorf("%s would be dialled", address)
		}
	}
}

func forwardedHosts(t *testing.T, w *peerWorld) {
	forge := func(req *http.Request) *http.Request {
		for name, value := range map[string]string{"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https", "X-Forwarded-Port": "444", "X-Forwarded-Prefix": "/evil", "X-Original-Host": "evil.example",
			"Forwarded": "host=evil.example;proto=https", "X-Forwarded-For": "127.0.0.1", "X-Original-URL": "/evil", "X-Rewrite-URL": "/evil"} {
			req.Header.Set(name, value)
		}
		return req
	}
	a := do(t, forge(request(t, http.MethodGet, w.issuer+"/.well-known/openid-configuration", nil, "")))
	a.wantOK(t)
	if text := fmt.Sprint(a.body); a.body["issuer"] != w.issuer || strings.Contains(text, "evil") {
		t.Errorf("discovery says %s", text)
	}
	stays := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for _, address := range []string{w.authorizeURL("basic", nil), w.authorizeURL("basic", url.Values{"prompt": {"none"}}), w.issuer + "/account", w.issuer + "/"} {
		req := forge(request(t, http.MethodGet, address, nil, ""))
		req.Host = "evil.example"
		resp, err := stays.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if page := read(t, resp); strings.Contains(page.header.Get("Location"), "evil") || strings.Contains(page.body, "evil") {
			t.Errorf("%s leads to %q and says %.300s", address, page.header.Get("Location"), page.body)
		}
	}
}

func forwardedAddresses(t *testing.T, w *peerWorld) {
	const client = "exchanges-post"
	status := 0
	for n := range idp.SecretLimit.Free + 6 {
		req := request(t, http.MethodPost, w.issuer+"/token", url.Values{"grant_type": {"authorization_code"}, "code": {"x"}, "redirect_uri": {callback}, "client_id": {client}, "client_secret": {"wrong"}}, "")
		for _, name := range []string{"X-Forwarded-For", "X-Real-IP", "True-Client-IP", "CF-Connecting-IP", "X-Client-IP"} {
			req.Header.Set(name, fmt.Sprintf("203.0.113.%d", n))
		}
		req.Header.Set("Forwarded", fmt.Sprintf("for=203.0.113.%d", n))
		status = do(t, req).status
	}
	if status != http.StatusTooManyRequests {
		t.Errorf("the last of many guesses, each from another address by its own word: %d, want 429", status)
	}
	w.wait(time.Hour)
}

func longNames(t *testing.T, w *peerWorld) {
	long := strings.Repeat("x", 300)
	for _, id := range []string{"basic" + long, "basic\x00", "basic ", " basic", "BASIC", long} {
		w.redeem(t, id, "x", nil).wantError(t, http.StatusUnauthorized, "invalid_client")
		p := newPerson(t)
		p.open(w.authorizeURL(id, nil))
		p.wantPage(http.StatusBadRequest, "")
	}
	s := w.dev(t)
	owner := newPerson(t)
	owner.atAccount(s, "555000000116")
	a, now := owner.scans(s), inStep(t)
	password := strings.Repeat("violet harbour ", 6) // more than what bcrypt would read of it
	owner.send("/account/add/totp", url.Values{"password": {password + "one"}, "code": {a.code(now)}})
	owner.wantAccount()
	// Each code works once, so the others come with the next step's.
	for _, try := range []struct {
		tail string
		in   bool
		step time.Duration
	}{{"one", true, 0}, {"two", false, 30 * time.Second}, {"", false, 30 * time.Second}} {
		p := s.asks(t)
		p.usesCode(emailOf(t, "555000000116"), password+try.tail, a.code(inStep(t).Add(try.step)))
		if (p.answer().Get("code") != "") != try.in {
			t.Errorf("the password that ends in %q signs in: %v; %s", try.tail, !try.in, p.seen())
		}
	}
}

// everywhere are the places that take a token from outside.
func (w *peerWorld) everywhere(t *testing.T, token string) map[string]answered {
	t.Helper()
	authorize := func(name string) answered {
		req := request(t, http.MethodPost, w.issuer+"/authorize", url.Values{"client_id": {"basic"}, "redirect_uri": {callback}, "response_type": {"code"}, "scope": {"openid"}, "prompt": {"none"}, name: {token}}, "")
		resp, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		page := read(t, resp)
		if to := page.header.Get("Location"); page.status == http.StatusSeeOther && !strings.Contains(to, "error=") {
			t.Errorf("%s: led to %s", name, to)
		}
		return answered{status: page.status}
	}
	return map[string]answered{
		"assertion": w.redeem(t, "", "x", url.Values{"client_id": {"signs"}, "client_assertion": {token}, "client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}}),
		"code":      w.redeem(t, "basic", token, nil), "refresh": w.refresh(t, "exchanges", token), "introspect": w.introspect(t, "basic", token), "revoke": w.revoke(t, "basic", token),
		"id token": w.exchange(t, "exchanges", token, ofID, nil), "access token": w.exchange(t, "exchanges", token, ofAccess, nil), "userinfo": w.userinfo(t, strings.Map(printable, token)),
		"hint": authorize("id_token_hint"), "claims": authorize("claims"),
	}
}

// printable leaves out what no header may hold.
func printable(r rune) rune {
	if r < ' ' || r > '~' {
		return -1
	}
	return r
}

// wantRefused checks that no place was taken down, or in, by a token.
func wantRefused(t *testing.T, what string, at map[string]answered) {
	t.Helper()
	for place, a := range at {
		harmless := place == "introspect" && a.body["active"] == false || place == "revoke" && a.status == http.StatusOK || (place == "hint" || place == "claims") && a.status == http.StatusSeeOther
		if !harmless && (a.status < http.StatusBadRequest || a.status >= http.StatusInternalServerError) {
			t.Errorf("%s as %s: %d, %v", what, place, a.status, a.body)
		}
	}
}

func bombs(t *testing.T, w *peerWorld) {
	header := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	for what, token := range map[string]string{
		"a packed JWE":         header(`{"alg":"dir","enc":"A128GCM","zip":"DEF"}`) + "..AAAAAAAAAAAAAAAA." + strings.Repeat("A", 4000) + ".AAAAAAAAAAAAAAAAAAAAAA",
		"a JWE by password":    header(`{"alg":"PBES2-HS256+A128KW","enc":"A128GCM","p2c":2147483647,"p2s":"AAAA"}`) + ".AAAA.AAAAAAAAAAAAAAAA.AAAA.AAAAAAAAAAAAAAAAAAAAAA",
		"50 kB of one letter":  strings.Repeat("A", 50_000),
		"JSON within itself":   strings.Repeat(`{"a":`, 8000),
		"a packed header":      header(`{"alg":"RS256","zip":"DEF","b64":false,"crit":["b64","zip"]}`) + "." + strings.Repeat("A", 4000) + ".AAAA",
		"a claims of 60 kB":    `{"userinfo":{"` + strings.Repeat("x", 60_000) + `":null}}`,
		"a name within a name": `{"userinfo":` + strings.Repeat("[", 8000),
	} {
		soon(t, func() { wantRefused(t, what, w.everywhere(t, token)) })
	}
	for _, path := range []string{"/token", "/introspect", "/revoke", "/userinfo", "/authorize"} {
		if a := do(t, request(t, http.MethodPost, w.issuer+path, url.Values{"x": {strings.Repeat("x", 2<<20)}}, "")); a.status < 400 || a.status >= 500 {
			t.Errorf("2 MB at %s: %d", path, a.status)
		}
	}
}

func hardTokens(t *testing.T, w *peerWorld) {
	header := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	for what, token := range map[string]string{
		"nothing but dots": strings.Repeat(".", 60_000), "two dots": "..", "four dots": "....", "no algorithm": header(`{}`) + ".e30.", "an algorithm that is a list": header(`{"alg":["RS256"]}`) + ".e30.AAAA",
		"a kid that is a number": header(`{"alg":"RS256","kid":5}`) + ".e30.AAAA", "a null": header(`null`) + "." + header(`null`) + ".AAAA", "rubbish": "\x00\xff\xfe.\x00.\x00", "an empty signature": header(`{"alg":"RS256","typ":"JWT"}`) + ".e30.",
		"JSON": `{"payload":"e30","signatures":[]}`, "a key of its own": header(`{"alg":"RS256","jwk":{"kty":"RSA","n":"AQAB","e":"AQAB"}}`) + ".e30.AAAA", "an address of its own": header(`{"alg":"RS256","jku":"http://169.254.169.254/"}`) + ".e30.AAAA",
	} {
		soon(t, func() { wantRefused(t, what, w.everywhere(t, token)) })
	}
}

func oddBodies(t *testing.T, w *peerWorld) {
	for _, route := range append(routesOf(t, w.withVirtualCards(t)), "POST /token", "POST /introspect", "POST /revoke", "POST /userinfo", "POST /authorize", "POST /language", "POST /desk/v1/redeem", "POST /desk/v1/progress", "POST /desk/v1/response") {
		method, path, _ := strings.Cut(route, " ")
		if method != http.MethodPost {
			continue
		}
		for _, kind := range []string{"", "application/x-www-form-urlencoded", "application/json", "multipart/form-data", "multipart/form-data; boundary=x", "text/plain; charset=\xff"} {
			for _, body := range []string{"", "&&&=%zz", "{", "--x\r\n", strings.Repeat("a=b&", 40_000)} {
				req, err := http.NewRequestWithContext(t.Context(), method, w.issuer+path, strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("Content-Type", kind)
				if a := do(t, req); a.status >= http.StatusInternalServerError {
					t.Errorf("%s with %q of %q: %d, %v", route, kind, body[:min(len(body), 10)], a.status, a.body)
				}
			}
		}
	}
}

func oddNames(t *testing.T, w *peerWorld) {
	both, _ := w.production(t)
	for _, name := range []string{"'; DROP TABLE clients; --", "' OR '1'='1", `"; SELECT 1; --`, "basic' --", "\x00", "\xff\xfe", "%00", "{family}", "*", "$1", strings.Repeat("x", 5000)} {
		for _, a := range []answered{both[0].redeem(t, name, name, nil), both[0].redeem(t, "basic", name, nil), both[0].refresh(t, "exchanges", name), both[0].introspect(t, "basic", name),
			both[0].exchange(t, "exchanges", name, ofAccess, url.Values{"audience": {name}}), both[0].exchange(t, "exchanges", both[0].tokens(t, "exchanges", oneRole, nil).said("access_token"), ofAccess, url.Values{"audience": {name}, "scope": {name}})} {
			if a.status >= http.StatusInternalServerError || a.status == http.StatusOK && a.body["active"] != false {
				t.Errorf("%q: %d, %v", name, a.status, a.body)
			}
		}
		p := newPerson(t)
		for _, address := range []string{both[0].authorizeURL(name, nil), both[0].authorizeURL("basic", url.Values{"redirect_uri": {name}}), both[0].authorizeURL("basic", url.Values{"login_hint": {name}, "ui_locales": {name}, "acr_values": {name}}),
			both[0].issuer + "/login?id=" + url.QueryEscape(name), both[0].issuer + "/account/remove?which=" + url.QueryEscape(name), both[0].issuer + "/desk/v1/done?tx=" + url.QueryEscape(name)} {
			if p.open(address); p.status >= http.StatusInternalServerError {
				t.Errorf("%q at %.60s: %d", name, address, p.status)
			}
		}
	}
	both[0].tokens(t, "basic", oneRole, nil) // all is as it was
}

func scriptsInEchoes(t *testing.T, w *peerWorld) {
	const script = `"><script>alert(1)</script><img src=x onerror=alert(1)>`
	s := w.dev(t)
	p := newPerson(t)
	p.open(s.authorizeURL("basic", nil))
	id := p.at.Query().Get("id")
	for _, address := range []string{s.authorizeURL(script, nil), s.authorizeURL("basic", url.Values{"redirect_uri": {script}}), s.authorizeURL("basic", url.Values{"login_hint": {script}}), s.authorizeURL("basic", url.Values{"ui_locales": {script}}),
		s.authorizeURL("basic", url.Values{"response_mode": {"form_post"}, "state": {script}, "prompt": {"none"}}), s.issuer + "/login?id=" + url.QueryEscape(script), s.issuer + "/login/totp?id=" + id + "&email=" + url.QueryEscape(script),
		s.issuer + "/dev/requests?reference=" + url.QueryEscape(script), s.issuer + "/" + url.PathEscape(script), s.issuer + "/login?id=" + id + "&card=" + url.QueryEscape(script), s.issuer + "/login/federated/callback?error_description=" + url.QueryEscape(script)} {
		p.open(address)
		wantNoScript(t, p)
	}
	p.open(s.authorizeURL("basic", anyLevel))
	p.open("/login/totp?id=" + url.QueryEscape(p.at.Query().Get("id")))
	p.send("/login/totp", url.Values{"email": {script}, "password": {script}, "code": {script}})
	wantNoScript(t, p)
	owner := newPerson(t)
	owner.atAccount(s, "555000000117")
	owner.addsKey(s, aKey(t), "<script>alert(1)</script>")
	wantNoScript(t, owner)
	s.refusesRedirects(t, "basic", "javascript:alert(1)", "data:text/html,x", "vbscript:x")
}

// wantNoScript checks that a page has no code in it, and that it would not run.
func wantNoScript(t *testing.T, p *person) {
	t.Helper()
	for n := range p.all("script") {
		if attr(n, "src") == "" {
			t.Errorf("%s has a script in it: %s", p.at, textOf(n))
		}
	}
	for n := range p.all("img") {
		if attr(n, "onerror") != "" {
			t.Errorf("%s has an image that runs", p.at)
		}
	}
	if policy := p.header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
		t.Errorf("%s: the policy is %q", p.at, policy)
	}
}

func foreignOrigins(t *testing.T, w *peerWorld) {
	for _, path := range []string{"/", "/authorize", "/login", "/account", "/token", "/userinfo", "/introspect", "/revoke", "/jwks", "/.well-known/openid-configuration", "/desk/v1/redeem", "/language"} {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodOptions} {
			req := request(t, method, w.issuer+path, nil, "")
			req.Header.Set("Origin", "https://evil.example")
			req.Header.Set("Access-Control-Request-Method", "POST")
			a := do(t, req)
			if who := a.header.Get("Access-Control-Allow-Origin"); a.header.Get("Access-Control-Allow-Credentials") != "" || who != "" && who != "*" {
				t.Errorf("%s %s: %q, with cookies %q", method, path, who, a.header.Get("Access-Control-Allow-Credentials"))
			}
		}
	}
}

func waysBack(t *testing.T, w *peerWorld) {
	for _, back := range []string{`/\evil.example`, `\\evil.example`, "//evil.example", "///evil.example", "/\t/evil.example", "/\n/evil.example", "https://evil.example", "https:evil.example", "http:///evil.example", "javascript:alert(1)", "\x00//evil.example",
		"/%09/evil.example", "/%5cevil.example", "/..//evil.example", "/.//evil.example", "evil.example", "?//evil.example", "/login/..//evil.example", "/@evil.example", "//evil.example@localhost", "http://localhost@evil.example", ""} {
		resp, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).
			Do(request(t, http.MethodPost, w.issuer+"/language", url.Values{"to": {"cy"}, "back": {back}}, ""))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		here, err := url.Parse(w.issuer)
		if err != nil {
			t.Fatal(err)
		}
		to, err := here.Parse(strings.ReplaceAll(resp.Header.Get("Location"), `\`, "/")) // as browsers read it
		if err != nil || to.Host != here.Host || to.Scheme != here.Scheme {
			t.Errorf("%q leads to %q", back, resp.Header.Get("Location"))
		}
	}
}

func rebinding(t *testing.T, w *peerWorld) {
	s := w.dev(t)
	for _, name := range []string{"evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.1"} {
		for _, path := range []string{"/", "/dev", "/dev/keys", "/.well-known/openid-configuration", "/token"} {
			req := request(t, http.MethodGet, s.issuer+path, nil, "")
			req.Host = name
			if a := do(t, req); a.status != http.StatusMisdirectedRequest {
				t.Errorf("%s as %s: %d", path, name, a.status)
			}
		}
	}
}

func insides(t *testing.T, _ *peerWorld) {
	s, one := onRedis(t, nil)
	tokens := s.tokens(t, "exchanges", oneRole, nil)
	if err := one.Freeze(); err != nil {
		t.Fatal(err)
	}
	var said []string
	for _, a := range []answered{s.userinfo(t, tokens.said("access_token")), s.redeem(t, "basic", "x", nil), s.refresh(t, "exchanges", tokens.said("refresh_token")), s.introspect(t, "exchanges", tokens.said("access_token")),
		s.exchange(t, "exchanges", tokens.said("access_token"), ofAccess, nil), s.revoke(t, "exchanges", tokens.said("access_token"))} {
		said = append(said, fmt.Sprint(a.status, a.body, a.header))
	}
	p := newPerson(t)
	for _, address := range []string{"/login?id=x", "/account", "/login/totp?id=x", "/desk/v1/done?tx=x&cc=y"} {
		p.open(s.issuer + address)
		said = append(said, p.html())
	}
	if err := one.Thaw(); err != nil {
		t.Fatal(err)
	}
	for _, text := range said {
		for _, inner := range []string{"redis", "Redis", "postgres", "SELECT", "dial", "i/o timeout", ".go:", "goroutine", one.Address(), "circuit", "panic"} {
			if strings.Contains(text, inner) {
				t.Errorf("an answer tells of %q: %.300s", inner, text)
			}
		}
	}
}
