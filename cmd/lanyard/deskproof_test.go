package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// forgeries are proofs that are not those of the agent that redeemed, made of
// what a thief of a question's name could have.
func forgeries(t *testing.T, a *deskAgent) map[string]func(path string) []string {
	t.Helper()
	thief, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	wide, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	change := func(c func(*proof)) func(string) []string {
		return func(path string) []string { return []string{a.prove(path, c)} }
	}
	claim := func(name string, v any) func(string) []string {
		return change(func(p *proof) {
			if p.claims[name] = v; v == nil {
				delete(p.claims, name)
			}
		})
	}
	now := a.now().Unix()
	return map[string]func(path string) []string{
		"none":              func(string) []string { return nil },
		"two":               func(path string) []string { return []string{a.prove(path, nil), a.prove(path, nil)} },
		"another key":       change(func(p *proof) { p.key, p.header["jwk"] = thief, jose.JSONWebKey{Key: thief.Public()} }),
		"another signature": change(func(p *proof) { p.key = thief }),
		"another type":      change(func(p *proof) { p.header[jose.HeaderType] = "JWT" }),
		"no type":           change(func(p *proof) { delete(p.header, jose.HeaderType) }),
		"no key":            change(func(p *proof) { delete(p.header, "jwk") }),
		"its private key":   change(func(p *proof) { p.header["jwk"] = jose.JSONWebKey{Key: a.key} }),
		"HMAC": change(func(p *proof) {
			p.alg, p.key = jose.HS256, []byte(strings.Repeat("k", 32))
		}),
		"another curve":        change(func(p *proof) { p.alg, p.key, p.header["jwk"] = jose.ES384, wide, jose.JSONWebKey{Key: wide.Public()} }),
		"another method":       claim("htm", "GET"),
		"another path":         claim("htu", a.service+"/desk/v1/redeem"),
		"another host":         claim("htu", "http://id.example/desk/v1/progress"),
		"no address":           claim("htu", nil),
		"61 s old":             claim("iat", now-61),
		"61 s ahead":           claim("iat", now+62),
		"no time":              claim("iat", nil),
		"a time in text":       claim("iat", "now"),
		"no name":              claim("jti", nil),
		"a long name":          claim("jti", strings.Repeat("x", 300)),
		"no transaction":       claim("tx", nil),
		"another transaction":  claim("tx", digest()),
		"5000 letters":         claim("more", strings.Repeat("x", 5000)),
		"no proof, but a word": func(string) []string { return []string{"x"} },
		"another's words":      func(path string) []string { return []string{strings.Replace(a.prove(path, nil), ".", ".e30", 1)} },
	}
}

func TestDeskProof(t *testing.T) {
	s := startDesk(t)
	_, a := s.redeemed()
	for name, forge := range forgeries(t, a) {
		t.Run("RFC 9449 §4.3: a call with "+name+" is refused like every other, and changes nothing", func(t *testing.T) {
			for path, body := range map[string]any{"/desk/v1/progress": map[string]any{"state": "cancelled"}, "/desk/v1/response": a.answer(nil)} {
				got := a.post(path, body, forge(path)...)
				if got.status != http.StatusUnauthorized || len(got.body) != 1 || got.body["error"] != "invalid_dpop_proof" ||
					got.header.Get("WWW-Authenticate") != `DPoP error="invalid_dpop_proof", algs="ES256"` {
					t.Errorf("%s: %d, %v, %v", path, got.status, got.body, got.header)
				}
			}
		})
	}
	t.Run("desk-auth/1: a stolen name of a question opens nothing, and its agent goes on", func(t *testing.T) {
		a.report("wait_card")
		a.respond(a.answer(nil)).wantOK(t)
	})
	t.Run("RFC 9449 §11.1: a proof works once", func(t *testing.T) {
		_, a := s.redeemed()
		proof := a.prove("/desk/v1/progress", nil)
		for i, want := range []int{http.StatusOK, http.StatusUnauthorized} {
			if got := a.post("/desk/v1/progress", map[string]any{"state": "wait_card"}, proof); got.status != want {
				t.Errorf("time %d: %d, want %d", i+1, got.status, want)
			}
		}
		proof = a.prove("/desk/v1/response", nil)
		for i, want := range []int{http.StatusOK, http.StatusUnauthorized} {
			if got := a.post("/desk/v1/response", a.answer(nil), proof); got.status != want {
				t.Errorf("answer %d: %d, want %d", i+1, got.status, want)
			}
		}
	})
	t.Run("RFC 9449 §4.3: an address is compared without query and fragment, and as hosts and ports are", func(t *testing.T) {
		_, a := s.redeemed()
		for _, more := range []string{"?x=1", "#x", "?"} {
			p := a.prove("/desk/v1/progress"+more, nil)
			if got := a.post("/desk/v1/progress", map[string]any{"state": "wait_card"}, p); got.status != http.StatusOK {
				t.Errorf("with %s: %d", more, got.status)
			}
		}
	})
	t.Run("RFC 9449 §4.3: a minute off is good", func(t *testing.T) {
		_, a := s.redeemed()
		for _, off := range []time.Duration{-58 * time.Second, 58 * time.Second} {
			p := a.prove("/desk/v1/progress", func(p *proof) { p.claims["iat"] = a.now().Add(off).Unix() })
			if got := a.post("/desk/v1/progress", map[string]any{"state": "wait_card"}, p); got.status != http.StatusOK {
				t.Errorf("%v: %d", off, got.status)
			}
		}
	})
	t.Run("desk-auth/1: nobody answers or reports before a handle is redeemed, nor reports after the answer", func(t *testing.T) {
		p, _ := s.asked()
		b := s.agent()
		b.question = a.question
		b.question.Transaction = txOf(p)
		for path, body := range map[string]any{"/desk/v1/progress": map[string]any{"state": "wait_card"}, "/desk/v1/response": b.answer(nil)} {
			if got := b.post(path, body, b.prove(path, nil)); got.status != http.StatusUnauthorized {
				t.Errorf("%s: %d, %v", path, got.status, got.body)
			}
		}
		for _, state := range []string{"cancelled", "pin_prompt"} {
			if got := a.post("/desk/v1/progress", map[string]any{"state": state}, a.prove("/desk/v1/progress", nil)); got.status != http.StatusUnauthorized {
				t.Errorf("%s after the answer: %d", state, got.status)
			}
		}
	})
}

func TestDeskBounds(t *testing.T) {
	s := startDesk(t)
	paths := []string{"/desk/v1/redeem", "/desk/v1/progress", "/desk/v1/response"}
	_, a := s.redeemed()
	_, handle := s.asked()
	good := func(path string) map[string]any {
		switch path {
		case "/desk/v1/redeem":
			return a.redemption(handle)
		case "/desk/v1/progress":
			return map[string]any{"state": "wait_card"}
		default:
			return a.answer(nil)
		}
	}
	try := func(t *testing.T, path, kind, body string, status int, word string) {
		t.Helper()
		if got := a.send(path, kind, []byte(body), a.prove(path, nil)); got.status != status || got.body["error"] != word || len(got.body) != 1 {
			t.Errorf("%s with %.60s…: %d, %v; want %d, %s", path, body, got.status, got.body, status, word)
		}
	}
	for _, path := range paths {
		text := asJSON(t, good(path))
		t.Run("own rule: "+path+" takes JSON, of bounded length, as one object with its members once each", func(t *testing.T) {
			for _, kind := range []string{"", "text/plain", "application/x-www-form-urlencoded", "application/json-seq", "application/json; ="} {
				try(t, path, kind, text, http.StatusUnsupportedMediaType, "not_json")
			}
			try(t, path, "application/json", text+strings.Repeat(" ", 64<<10), http.StatusRequestEntityTooLarge, "too_large")
			for _, body := range []string{
				"", "null", "[]", `"x"`, "{", text + "{}", text + "x", "[" + text + "]",
				strings.Replace(text, "{", `{"admin":true,`, 1),
				strings.Replace(text, "{", `{"STATE":"x","H":"x","JWS":"x",`, 1),
				text[:len(text)-1] + `,` + text[1:], // every member twice
				strings.NewReplacer(`"h":`, `"H":`, `"state":`, `"State":`, `"jws":`, `"Jws":`).Replace(text),
			} {
				try(t, path, "application/json", body, http.StatusBadRequest, "invalid_request")
			}
		})
	}
	for name, change := range map[string]func(map[string]any){
		"no key":                 func(m map[string]any) { delete(m, "epk") },
		"a private key":          func(m map[string]any) { m["epk"] = jose.JSONWebKey{Key: a.key} },
		"a key on another curve": func(m map[string]any) { m["epk"] = jose.JSONWebKey{Key: wideKey(t)} },
		"a point that is nowhere": func(m map[string]any) {
			m["epk"] = map[string]string{"kty": "EC", "crv": "P-256", "x": digest(), "y": digest()}
		},
		"no port":              func(m map[string]any) { delete(m, "port") },
		"a port of the system": func(m map[string]any) { m["port"] = 22 },
		"a port that is none":  func(m map[string]any) { m["port"] = 65536 },
		"no agent":             func(m map[string]any) { delete(m, "agent") },
		"an agent of another kind": func(m map[string]any) {
			m["agent"] = map[string]string{"name": "a", "version": "1", "os": "x", "shell": "y"}
		},
		"an agent that cannot be shown": func(m map[string]any) {
			m["agent"] = map[string]string{"name": "a\nb", "version": "1", "os": "x"}
		},
	} {
		t.Run("own rule: a handle is not spent by an agent with "+name, func(t *testing.T) {
			m := a.redemption(handle)
			change(m)
			try(t, "/desk/v1/redeem", "application/json", asJSON(t, m), http.StatusBadRequest, "invalid_request")
		})
	}
	for _, body := range []string{`{"state":"refused"}`, `{"state":"signed"}`, `{"state":""}`, `{}`, `{"state":"pin_wrong"}`, `{"state":"pin_wrong","left":16}`, `{"state":"pin_wrong","left":-1}`, `{"state":"wait_card","left":2}`} {
		t.Run("desk-auth/1: no agent reports "+body, func(t *testing.T) {
			try(t, "/desk/v1/progress", "application/json", body, http.StatusBadRequest, "invalid_request")
		})
	}
	t.Run("P22: what agents call takes POST alone", func(t *testing.T) {
		for _, path := range paths {
			if got := do(t, request(t, http.MethodGet, s.issuer+path, nil, "")); got.status != http.StatusMethodNotAllowed {
				t.Errorf("GET %s: %d", path, got.status)
			}
		}
	})
	t.Run("P22: a form that another site posts asks for no card", func(t *testing.T) {
		p := newPerson(t)
		p.open(s.authorizeURL("basic", nil))
		id := p.at.Query().Get("id")
		req := request(t, http.MethodPost, s.issuer+"/login/smartcard/begin", url.Values{"id": {id}}, "")
		req.Header.Set("Sec-Fetch-Site", "cross-site")
		for _, c := range p.cookies(s.running, "lanyard-") {
			req.AddCookie(c)
		}
		if got := do(t, req); got.status != http.StatusForbidden {
			t.Errorf("from another site: %d", got.status)
		}
		if got := do(t, request(t, http.MethodPost, s.issuer+"/login/smartcard/begin", url.Values{"id": {id}}, "")); got.status != http.StatusBadRequest {
			t.Errorf("without the login's cookie: %d", got.status)
		}
	})
	t.Run("P20: no script of another origin reads what agents and pages of desks are told", func(t *testing.T) {
		for _, path := range append(paths, "/desk/v1/events?tx=x", "/desk/v1/done?tx=x&cc=x") {
			for _, method := range []string{http.MethodOptions, http.MethodGet, http.MethodPost} {
				req := request(t, method, s.issuer+path, nil, "")
				req.Header.Set("Origin", "https://app.example")
				req.Header.Set("Access-Control-Request-Method", "POST")
				if got := do(t, req); len(got.header.Values("Access-Control-Allow-Origin")) != 0 {
					t.Errorf("%s %s: %v", method, path, got.header)
				}
			}
		}
	})
	t.Run("own rule: after all this the handle still works, and the question has its answer", func(t *testing.T) {
		a.respond(a.answer(nil)).wantOK(t)
		s.agent().redeem(handle)
	})
}

func wideKey(t *testing.T) any {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key.Public()
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
