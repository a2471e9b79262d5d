package main

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"

	"github.com/lanyard-id/lanyard/authenticators/smartcard/cardca"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/virtualcard"
	"github.com/lanyard-id/lanyard/cmd/lanyard/legacyclient"
	"github.com/lanyard-id/lanyard/idp"
)

// wholeBridge switches on everything of the old service.
func wholeBridge() BridgeConfig {
	return BridgeConfig{Gateway: true, Assertion: true, SessionManager: true, Exchange: true, SHA1: true, SessionMax: 10 * time.Hour, SessionIdle: time.Hour}
}

// startLegacy starts a service that answers the old one's agents.
func startLegacy(t *testing.T, change func(*parts)) *deskService {
	t.Helper()
	return startDesks(t, 0, func(p *parts) {
		p.bridge = wholeBridge()
		if change != nil {
			change(p)
		}
	})
}

// fortyRoles is a person of the demo directory.
const fortyRoles = "555000000103"

// legacyAgent is an agent of the old service at a desk, with the card of a
// person whose certificate is of that serial number.
func (s *deskService) legacyAgent(uid, serial string) *legacyclient.Agent {
	s.t.Helper()
	return newLegacyAgent(s.t, s.issuer, s.authority, uid, serial, s.clock.Now())
}

func newLegacyAgent(t *testing.T, service string, authority *cardca.Authority, uid, serial string, now time.Time) *legacyclient.Agent {
	t.Helper()
	key, err := virtualcard.GenerateKey(virtualcard.RSA2048)
	if err != nil {
		t.Fatal(err)
	}
	c, err := authority.Issue(cardca.Request{Key: key.Public(), Serial: serial, UID: uid, NotBefore: now.Add(-48 * time.Hour), NotAfter: now.Add(year)})
	if err != nil {
		t.Fatal(err)
	}
	return &legacyclient.Agent{Base: service, Device: "WS-0042", Log: "aB3dE6gH9k", Version: "2. 4. 10. 0", UID: uid, HTTP: http.DefaultClient,
		Card: key, X509: c, Hash: crypto.SHA1}
}

// legacySignedIn is one that has signed in.
func (s *deskService) legacySignedIn(uid string) *legacyclient.Agent {
	s.t.Helper()
	a := s.legacyAgent(uid, card(uid))
	if err := a.SignIn(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	return a
}

// legacyAsks is a request of an application, with the agent's ticket.
func legacyAsks(t *testing.T, a *legacyclient.Agent, path, name string) (int, string) {
	t.Helper()
	status, text, err := a.Ask(t.Context(), path, url.Values{name: {a.Ticket}})
	if err != nil {
		t.Fatal(err)
	}
	return status, text
}

// wantLives asks whether the session lives.
func wantLives(t *testing.T, a *legacyclient.Agent, want bool) {
	t.Helper()
	if status, text := legacyAsks(t, a, "/identity/isTokenValid", "tokenid"); status != http.StatusOK || strings.TrimSpace(text) != "boolean="+strconv.FormatBool(want) {
		t.Errorf("isTokenValid says %d %q, want %v", status, text, want)
	}
}

// wantLegacyRefused says that the gateway refused with that code.
func wantLegacyRefused(t *testing.T, err error, status int, code string) {
	t.Helper()
	var no legacyclient.Refused
	if !errors.As(err, &no) || no.Status != status || no.Params["error_code"] != code || no.Params["error_text"] == "" {
		t.Errorf("the gateway says %v %v, want %d %s", err, no.Params, status, code)
	}
}

func TestLegacy(t *testing.T) {
	s := startLegacy(t, nil)
	t.Run("CIS1: an agent signs in, chooses among forty roles, applications read them, and it signs out", func(t *testing.T) {
		a := s.legacySignedIn(fortyRoles)
		if len(a.Roles) != 40 || a.Roles[0].ID == "" || a.Roles[0].Org == "" || !strings.Contains(a.Roles[0].Text, `, "`) {
			t.Fatalf("%d roles, the first %+v", len(a.Roles), a.Roles[:min(1, len(a.Roles))])
		}
		for name, want := range map[string]string{"log_session_id": a.Log, "auth_method": "3", "app_url": "NHST", "service": "AUTHENTICATION", "gas_version": "5.2.7",
			"sso_max_session_time": "600", "sso_session_time": "600", "sso_keep_alive": "false", "sso_logout_url": s.issuer + "/login/authlogout",
			"sso_session_url": s.issuer + "/sessionmanager/session/update"} {
			if a.Session[name] != want {
				t.Errorf("%s is %q, want %q", name, a.Session[name], want)
			}
		}
		if !strings.HasPrefix(a.Ticket, "AQIC") || !strings.HasSuffix(a.Ticket, "=@AAJTSQACMDE=#") {
			t.Errorf("the ticket is %q", a.Ticket)
		}
		chosen := a.Roles[27].ID
		if _, err := a.Choose(t.Context(), chosen); err != nil {
			t.Fatal(err)
		}
		status, said := legacyAsks(t, a, "/identity/attributes", "subjectid")
		for _, want := range []string{"userdetails.token.id=" + a.Ticket + "\n", "userdetails.attribute.name=uid\nuserdetails.attribute.value=" + fortyRoles + "\n",
			"userdetails.attribute.name=SSB Session Role UID\nuserdetails.attribute.value=" + chosen + "\n"} {
			if status != http.StatusOK || !strings.Contains(said, want) {
				t.Errorf("the attributes are %d\n%s, and lack %q", status, said, want)
			}
		}
		if status, saml := legacyAsks(t, a, "/saml/RoleAssertion", "token"); status != http.StatusOK || !strings.Contains(saml, "samlp:Success") || strings.Count(saml, `"nhsIdCode"`) != 40 {
			t.Errorf("the assertion is %d %s", status, saml)
		}
		if err := a.SignOut(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantLives(t, a, false)
		if status, saml := legacyAsks(t, a, "/saml/RoleAssertion", "token"); status != http.StatusOK || strings.Contains(saml, "Success") || strings.Contains(saml, fortyRoles) {
			t.Errorf("after that the assertion is %d %s", status, saml)
		}
		if status, said := legacyAsks(t, a, "/identity/attributes", "subjectid"); status != http.StatusUnauthorized || strings.Contains(said, "userdetails") {
			t.Errorf("after that the attributes are %d %s", status, said)
		}
	})
	t.Run("CIS1: the card may sign the challenge itself, and with SHA-256", func(t *testing.T) {
		for _, hash := range []crypto.Hash{crypto.SHA1, crypto.SHA256} {
			for _, bare := range []bool{false, true} {
				a := s.legacyAgent(oneRole, card(oneRole))
				if a.Hash, a.Bare = hash, bare; a.SignIn(t.Context()) != nil {
					t.Errorf("%v, bare %v: %v", hash, bare, a.SignIn(t.Context()))
				}
			}
		}
	})
	t.Run("own rule: two sessions of one person end apart", func(t *testing.T) {
		a, b := s.legacySignedIn(oneRole), s.legacySignedIn(oneRole)
		if err := a.SignOut(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantLives(t, a, false)
		wantLives(t, b, true)
	})
}

func TestLegacyRefusals(t *testing.T) {
	s := startLegacy(t, nil)
	t.Run("X2: on this path too cards are judged by their dates and their state", func(t *testing.T) {
		for uid, code := range map[string]string{"555000000108": "PAS-03", "555000000109": "CRT-03", "555000000110": "CRD-07", unknown: "CRT-04", "555000000112": "CRD-06"} {
			wantLegacyRefused(t, s.legacyAgent(uid, card(uid)).SignIn(t.Context()), http.StatusForbidden, code)
		}
		a := s.legacyAgent(oneRole, card(oneRole))
		now := s.clock.Now()
		var err error
		if a.X509, err = s.authority.Issue(cardca.Request{Key: a.Card.Public(), Serial: card(oneRole), UID: oneRole, NotBefore: now.Add(-2 * year), NotAfter: now.Add(-time.Hour)}); err != nil {
			t.Fatal(err)
		}
		wantLegacyRefused(t, a.SignIn(t.Context()), http.StatusForbidden, "CRT-01")
	})
	t.Run("own rule: who may not use applications gets no session here", func(t *testing.T) {
		for uid, code := range map[string]string{unverified: "PRF-03", restricted: "PRF-02", closed: "PRF-01"} {
			wantLegacyRefused(t, s.legacyAgent(uid, card(uid)).SignIn(t.Context()), http.StatusForbidden, code)
		}
	})
	t.Run("P19: a challenge is answered once, at the desk that asked, within its time, and by whom it says", func(t *testing.T) {
		a := s.legacyAgent(oneRole, card(oneRole))
		try := func(change func(a *legacyclient.Agent, challenge, signature, response *string)) error {
			challenge, signature, _, err := a.Activate(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			response, err := a.Sign(challenge)
			if err != nil {
				t.Fatal(err)
			}
			b := *a
			change(&b, &challenge, &signature, &response)
			_, err = b.Validate(t.Context(), challenge, signature, response)
			return err
		}
		other := s.legacyAgent(fiveRoles, card(fiveRoles))
		for what, change := range map[string]func(*legacyclient.Agent, *string, *string, *string){
			"another desk":      func(a *legacyclient.Agent, _, _, _ *string) { a.Device = "WS-0043" },
			"another session":   func(a *legacyclient.Agent, _, _, _ *string) { a.Log = "aB3dE6gH9l" },
			"another uid":       func(a *legacyclient.Agent, _, _, _ *string) { a.UID = fiveRoles },
			"another signature": func(_ *legacyclient.Agent, _, signature, _ *string) { *signature = "AAAA" },
			"another challenge": func(a *legacyclient.Agent, challenge, _, _ *string) { *challenge, _, _, _ = a.Activate(t.Context()) },
			"another card":      func(a *legacyclient.Agent, challenge, _, response *string) { *response, _ = other.Sign(*challenge) },
			"too late":          func(*legacyclient.Agent, *string, *string, *string) { s.pass(301 * time.Second) },
			"no CMS":            func(_ *legacyclient.Agent, _, _, response *string) { *response = "MAA=" },
			"another's mail":    func(_ *legacyclient.Agent, _, _, response *string) { *response = strings.Repeat("QQ", 4<<10) },
			"a swapped identity": func(a *legacyclient.Agent, challenge, _, response *string) {
				other.X509, a.UID = a.X509, oneRole
				*response, _ = other.Sign(*challenge)
			},
		} {
			err := try(change)
			var no legacyclient.Refused
			if !errors.As(err, &no) || no.Params["error_code"] != "SES-03" {
				t.Errorf("%s: %v", what, err)
			}
		}
		if err := try(func(*legacyclient.Agent, *string, *string, *string) {}); err != nil {
			t.Error(err)
		}
		challenge, signature, _, err := a.Activate(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		response, err := a.Sign(challenge)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.Validate(t.Context(), challenge, signature, response); err != nil {
			t.Error(err)
		}
		_, err = a.Validate(t.Context(), challenge, signature, response)
		wantLegacyRefused(t, err, http.StatusBadRequest, "SES-03")
	})
	t.Run("own rule: agents of another version are not taken, nor those that do not say", func(t *testing.T) {
		for _, version := range []string{"10. 0. 0. 1", ""} {
			a := s.legacyAgent(oneRole, card(oneRole))
			a.Version = version
			wantLegacyRefused(t, a.SignIn(t.Context()), http.StatusForbidden, "AGT-03")
		}
	})
	t.Run("own rule: cards of a series that is for desk-auth/1 alone are refused here, and SHA-1 where it is off", func(t *testing.T) {
		wantLegacyRefused(t, s.legacyAgent("555000000117", card("555000000117")).SignIn(t.Context()), http.StatusForbidden, "OLD-01")
		p := newPerson(t)
		p.open(s.authorizeURL("basic", nil))
		p.send("/login/smartcard/begin", nil)
		d := newDeskAgent(t, s.issuer, s.card(card("555000000117"), year), s.clock.Now)
		d.redeem(p.starts().Get("h"))
		d.respond(d.answer(nil)).wantOK(t)
		s := startLegacy(t, func(p *parts) { p.bridge.SHA1 = false })
		wantLegacyRefused(t, s.legacyAgent(oneRole, card(oneRole)).SignIn(t.Context()), http.StatusForbidden, "OLD-02")
		a := s.legacyAgent(oneRole, card(oneRole))
		if a.Hash = crypto.SHA256; a.SignIn(t.Context()) != nil {
			t.Error("a card that signs with SHA-256 is not taken")
		}
	})
	t.Run("own rule: nobody ends another's session at the gateway with its token alone", func(t *testing.T) {
		a := s.legacySignedIn(oneRole)
		for _, change := range []func(*legacyclient.Agent){
			func(b *legacyclient.Agent) { b.UID = fiveRoles }, func(b *legacyclient.Agent) { b.Log = "xxxxxxxxxx" }, func(b *legacyclient.Agent) { b.Device = "WS-1" },
			func(b *legacyclient.Agent) { b.Ticket = a.Ticket[:len(a.Ticket)-1] }, func(b *legacyclient.Agent) { b.Ticket = "" },
		} {
			b := *a
			change(&b)
			wantLegacyRefused(t, b.SignOut(t.Context()), http.StatusForbidden, "OLD-03")
		}
		wantLives(t, a, true)
	})
	t.Run("own rule: a token that is cut, longer or changed in one bit is none", func(t *testing.T) {
		a := s.legacySignedIn(oneRole)
		for i := range len(a.Ticket) {
			b := *a
			b.Ticket = a.Ticket[:i] + string(a.Ticket[i]^1) + a.Ticket[i+1:]
			wantLives(t, &b, false)
			b.Ticket = a.Ticket[:i]
			wantLives(t, &b, false)
		}
		b := *a
		b.Ticket += "#"
		wantLives(t, &b, false)
		wantLives(t, a, true)
	})
	t.Run("own rule: the role is taken from a form too, so that no token need stand in an address", func(t *testing.T) {
		a := s.legacySignedIn(oneRole)
		resp, err := http.PostForm(s.issuer+"/saml/RoleSelectionGP.jsp", url.Values{"token": {a.Ticket}, "selectedRoleUid": {a.Roles[0].ID}})
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if _, said := legacyAsks(t, a, "/identity/attributes", "subjectid"); resp.StatusCode != http.StatusOK || !strings.Contains(said, "userdetails.attribute.value="+a.Roles[0].ID+"\n") {
			t.Errorf("%d, and then\n%s", resp.StatusCode, said)
		}
	})
	t.Run("own rule: the role must be the person's, and the session alive", func(t *testing.T) {
		a := s.legacySignedIn(oneRole)
		_, err := a.Choose(t.Context(), "555000000999")
		wantLegacyRefused(t, err, http.StatusBadRequest, "ROL-03")
		if err := a.SignOut(t.Context()); err != nil {
			t.Fatal(err)
		}
		_, err = a.Choose(t.Context(), a.Roles[0].ID)
		wantLegacyRefused(t, err, http.StatusForbidden, "OLD-03")
	})
}

func TestLegacyTimes(t *testing.T) {
	s := startLegacy(t, nil)
	t.Run("own rule: what only looks does not keep a session alive, and what refreshes does", func(t *testing.T) {
		a := s.legacySignedIn(oneRole)
		for range 59 {
			s.pass(time.Minute)
			wantLives(t, a, true)
			legacyAsks(t, a, "/saml/RoleAssertion", "token")
			legacyAsks(t, a, "/identity/attributes", "subjectid")
		}
		s.pass(time.Minute + time.Second)
		wantLives(t, a, false)
		b := s.legacySignedIn(oneRole)
		for range 10 {
			s.pass(59*time.Minute + 50*time.Second)
			if status, text := legacyAsks(t, b, "/sessionmanager/session/update", "tokenid"); status != http.StatusOK || !strings.Contains(text, "true") {
				t.Fatalf("refresh: %d %s", status, text)
			}
		}
		wantLives(t, b, true)
		s.pass(2 * time.Minute)
		wantLives(t, b, false) // ten hours are all
	})
}

func TestLegacySwitches(t *testing.T) {
	paths := map[string]string{"/login/authactivate": http.MethodPost, "/login/authvalidate": http.MethodPost, "/login/authlogout": http.MethodPost,
		"/saml/RoleSelectionGP.jsp": http.MethodGet, "/saml/RoleAssertion": http.MethodGet, "/sessionmanager/session/update": http.MethodGet,
		"/identity/isTokenValid": http.MethodGet, "/identity/attributes": http.MethodGet, "/identity/logout": http.MethodGet}
	there := func(t *testing.T, s *deskService, path string) bool {
		t.Helper()
		resp, err := http.DefaultClient.Do(request(t, paths[path], s.issuer+path, url.Values{}, ""))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp.StatusCode != http.StatusNotFound
	}
	gateway := []string{"/login/authactivate", "/login/authvalidate", "/login/authlogout", "/saml/RoleSelectionGP.jsp", "/sessionmanager/session/update"}
	for what, tt := range map[string]struct {
		on    func(*BridgeConfig)
		there []string
	}{
		"nothing":             {func(*BridgeConfig) {}, nil},
		"the exchange alone":  {func(b *BridgeConfig) { b.Exchange = true }, nil},
		"the gateway":         {func(b *BridgeConfig) { b.Gateway = true }, gateway},
		"role assertions":     {func(b *BridgeConfig) { b.Assertion = true }, []string{"/saml/RoleAssertion"}},
		"the session manager": {func(b *BridgeConfig) { b.SessionManager = true }, []string{"/sessionmanager/session/update", "/identity/isTokenValid", "/identity/attributes", "/identity/logout"}},
	} {
		t.Run("own rule: of the old service what is switched on is there, and nothing else: "+what, func(t *testing.T) {
			s := startDesks(t, 0, func(p *parts) { tt.on(&p.bridge) })
			for path := range paths {
				if got, want := there(t, s, path), slices.Contains(tt.there, path); got != want {
					t.Errorf("%s is there: %v, want %v", path, got, want)
				}
			}
			if what == "nothing" {
				s.exchange(t, "exchanges", "AQIC", ofSSO, nil).wantError(t, http.StatusBadRequest, "invalid_request")
				document := do(t, request(t, http.MethodGet, s.issuer+"/.well-known/openid-configuration", nil, ""))
				document.wantOK(t)
				for _, word := range []string{"cis1", "N3", "saml", "legacy"} {
					if strings.Contains(strings.ToLower(fmt.Sprint(document.body)), strings.ToLower(word)) {
						t.Errorf("discovery speaks of %s", word)
					}
				}
			}
		})
	}
	t.Run("own rule: the paths answer the networks that are allowed, and are not there for others", func(t *testing.T) {
		for network, want := range map[string]bool{"127.0.0.0/8": true, "10.0.0.0/8": false} {
			s := startLegacy(t, func(p *parts) { p.bridge.Networks = []netip.Prefix{netip.MustParsePrefix(network)} })
			for path := range paths {
				if got := there(t, s, path); got != want {
					t.Errorf("from 127.0.0.1, with %s, %s is there: %v", network, path, got)
				}
			}
		}
	})
	t.Run("own rule: with a listener of its own the paths are there alone, and nothing else is", func(t *testing.T) {
		var apart *service
		s := startLegacy(t, func(p *parts) {
			p.bridge.Listen = "localhost:0"
			var err error
			if apart, err = wire(*p); err != nil {
				t.Fatal(err)
			}
		})
		for path := range paths {
			if there(t, s, path) {
				t.Errorf("%s is where people are", path)
			}
		}
		server := httptest.NewServer(apart.pages.LegacyRoutes())
		t.Cleanup(server.Close)
		s.issuer = server.URL
		for path := range paths {
			if !there(t, s, path) {
				t.Errorf("%s is not on its own listener", path)
			}
		}
		for _, path := range []string{"/", "/login", "/authorize", "/.well-known/openid-configuration", "/api/v1/openapi.json"} {
			if got := do(t, request(t, http.MethodGet, server.URL+path, nil, "")); got.status != http.StatusNotFound {
				t.Errorf("%s answers %d there", path, got.status)
			}
		}
	})
}

// shownAt is all that a stranger is shown at an address, but for what is of one
// request.
func shownAt(t *testing.T, method, address string, header http.Header) string {
	t.Helper()
	req := request(t, method, address, nil, "")
	maps.Copy(req.Header, header)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	id := resp.Header.Get("X-Request-Id")
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	resp.Header.Del("X-Request-Id")
	resp.Header.Del("Date")
	told := fmt.Sprint(resp.StatusCode, resp.Header, string(body))
	for _, own := range []string{id, id[:min(len(id), 8)], url.QueryEscape(u.Path), u.Path} {
		told = strings.ReplaceAll(told, own, "")
	}
	return regexp.MustCompile(`nonce-[^']+|nonce="[^"]+"`).ReplaceAllString(told, "")
}

func TestStrangersAtBridge(t *testing.T) {
	paths := []string{"/login/authactivate", "/login/authvalidate", "/login/authlogout", "/login/deskproof", "/saml/RoleSelectionGP.jsp", "/saml/RoleAssertion",
		"/sessionmanager/session/update", "/identity/isTokenValid", "/identity/attributes", "/identity/logout"}
	from := func(network string, change func(*parts)) *deskService {
		return startLegacy(t, func(p *parts) {
			p.bridge.Desk, p.bridge.Networks = true, []netip.Prefix{netip.MustParsePrefix(network)}
			change(p)
		})
	}
	alike := func(t *testing.T, base string, header http.Header) {
		t.Helper()
		for _, path := range paths {
			for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete} {
				nowhere := strings.Repeat("x", len(path)-1)
				if got, want := shownAt(t, method, base+path, header), shownAt(t, method, base+"/"+nowhere, header); got != want {
					t.Errorf("%s %s shows\n%s\nwhere nothing is it is\n%s", method, path, got, want)
				}
			}
		}
	}
	t.Run("own rule: a stranger cannot tell the paths of the old service from those where nothing is, by any method", func(t *testing.T) {
		s := from("10.0.0.0/8", func(*parts) {})
		alike(t, s.issuer, nil)
		alike(t, s.issuer, http.Header{"Accept": {"text/html"}, "Accept-Language": {"cy"}})
	})
	t.Run("own rule: nor on a listener of its own", func(t *testing.T) {
		var apart *service
		from("10.0.0.0/8", func(p *parts) {
			p.bridge.Listen = "localhost:0"
			var err error
			if apart, err = wire(*p); err != nil {
				t.Fatal(err)
			}
		})
		server := httptest.NewServer(apart.pages.LegacyRoutes())
		t.Cleanup(server.Close)
		alike(t, server.URL, nil)
	})
	t.Run("own rule: nor of a part that is off", func(t *testing.T) {
		s := startDesks(t, 0, func(*parts) {})
		alike(t, s.issuer, nil)
	})
	t.Run("own rule: with networks, what a proxy brings that nobody trusts comes from nowhere", func(t *testing.T) {
		s := from("127.0.0.0/8", func(*parts) {})
		for _, name := range []string{"X-Forwarded-For", "Forwarded", "X-Real-Ip", "Via"} {
			for _, lines := range [][]string{{"127.0.0.1"}, {""}, {"", "203.0.113.9"}} {
				alike(t, s.issuer, http.Header{name: lines})
			}
		}
		if got := shownAt(t, http.MethodGet, s.issuer+"/identity/isTokenValid?tokenid=x", nil); !strings.Contains(got, "boolean=false") {
			t.Errorf("who comes by themself is shown %s", got)
		}
		trusted := from("10.1.0.0/16", func(p *parts) { p.origin = originOf([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}) })
		if got := shownAt(t, http.MethodGet, trusted.issuer+"/identity/isTokenValid?tokenid=x", http.Header{"X-Forwarded-For": {"10.1.2.3"}}); !strings.Contains(got, "boolean=false") {
			t.Errorf("who a trusted proxy brings is shown %s", got)
		}
		for _, written := range []string{"", "10.2.0.1", "nobody", "127.0.0.1"} {
			alike(t, trusted.issuer, http.Header{"X-Forwarded-For": {written}})
		}
	})
}

// TestSignedAssertion reads signed assertions as a careful application does: it
// takes nothing but what the signature is over, by a key that it knows.
func TestSignedAssertion(t *testing.T) {
	var keys func() *idp.Keys
	s := startLegacy(t, func(p *parts) { p.bridge.SignAssertions, keys = true, p.keys })
	a := s.legacySignedIn(oneRole)
	_, saml := legacyAsks(t, a, "/saml/RoleAssertion", "token")
	key, _ := keys().Signer(idp.RSAKey, s.clock.Now())
	t.Run("own rule: a role assertion is signed as a whole, with SHA-256, by the key that signs ID tokens", func(t *testing.T) {
		if err := readSigned(saml, key.Public); err != nil {
			t.Errorf("%v in %s", err, saml)
		}
		for _, want := range []string{"http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", "http://www.w3.org/2001/04/xmlenc#sha256", "http://www.w3.org/2001/10/xml-exc-c14n#"} {
			if !strings.Contains(saml, want) {
				t.Errorf("it lacks %s", want)
			}
		}
		if strings.Contains(saml, "sha1") || strings.Contains(saml, `ResponseID="null"`) {
			t.Errorf("it is %s", saml)
		}
	})
	t.Run("own rule: what is signed tells no part that was changed from one that was not", func(t *testing.T) {
		for from, to := range map[string]string{oneRole: fiveRoles, "samlp:Success": "samlp:Sorry", "A9A5A": "RX9", "o=nhs": "o=nhs2"} {
			if readSigned(strings.Replace(saml, from, to, 1), key.Public) == nil {
				t.Errorf("%s may be %s", from, to)
			}
		}
	})
	t.Run("own rule: a refusal asserts nothing, and nobody without a token has anything signed", func(t *testing.T) {
		a.Ticket += "x"
		_, no := legacyAsks(t, a, "/saml/RoleAssertion", "token")
		if strings.Contains(no, "Signature") || strings.Contains(no, "Success") || !strings.Contains(no, "samlp:Status") {
			t.Errorf("it is %s", no)
		}
	})
}

// readSigned says nil if all of text is signed by that key.
func readSigned(text string, by crypto.PublicKey) error {
	doc := etree.NewDocument()
	if err := doc.ReadFromString(text); err != nil {
		return err
	}
	in := doc.FindElement("//ds:X509Certificate")
	if in == nil {
		return errors.New("there is no certificate")
	}
	der, err := base64.StdEncoding.DecodeString(in.Text())
	if err != nil {
		return err
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return err
	}
	if k, ok := c.PublicKey.(*rsa.PublicKey); !ok || !k.Equal(by) {
		return errors.New("it is another key's")
	}
	check := dsig.NewDefaultValidationContext(&dsig.MemoryX509CertificateStore{Roots: []*x509.Certificate{c}})
	check.IdAttribute = "ResponseID"
	signed, err := check.Validate(doc.Root())
	if err != nil {
		return err
	}
	if signed.Tag != "Response" {
		return errors.New("not the whole is signed")
	}
	return nil
}
