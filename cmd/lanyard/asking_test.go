package main

import (
	"net/http"
	"net/url"
	"slices"
	"testing"
)

// asks is a request with a claims parameter.
func asks(claims string) url.Values { return url.Values{"scope": {"openid"}, "claims": {claims}} }

func TestClaimsParameter(t *testing.T) {
	s := start(t, nil)
	t.Run("OIDC Core §5.5: claims that are asked for by name come where they were asked for, and no others", func(t *testing.T) {
		code := s.signedIn(t, "basic", oneRole, asks(`{"userinfo":{"given_name":{"essential":true},"shoe_size":null},"id_token":{"email":null,"auth_time":{"essential":true}}}`))
		tokens := s.redeem(t, "basic", code, nil)
		claims := payload(t, tokens)
		access, _ := tokens.body["access_token"].(string)
		info := s.userinfo(t, access)
		info.wantOK(t)
		if claims["email"] == nil || claims["given_name"] != nil || claims["auth_time"] == nil {
			t.Errorf("the ID token says %v", claims)
		}
		if info.body["given_name"] == nil || info.body["email"] != nil || len(info.body) != 2 {
			t.Errorf("userinfo says %v", info.body)
		}
	})
	t.Run("P7: not those of a scope that the client is not registered for", func(t *testing.T) {
		ask := asks(`{"userinfo":{"name":null,"nhsid_nrbac_roles":null},"id_token":{"name":null}}`)
		tokens := s.redeem(t, "narrow", s.signedIn(t, "narrow", oneRole, ask), nil)
		access, _ := tokens.body["access_token"].(string)
		if info := s.userinfo(t, access); len(info.body) != 1 || payload(t, tokens)["name"] != nil {
			t.Errorf("it learns %v and %v", info.body, payload(t, tokens))
		}
	})
	t.Run("OIDC Core §5.5: a claims parameter that cannot be read is refused", func(t *testing.T) {
		for _, text := range []string{"x", "[]", "null", `{"userinfo":5}`, `{"id_token":{"sub":{"values":["555000000101","555000000102"]}}}`} {
			p := newPerson(t)
			p.open(s.authorizeURL("basic", asks(text)))
			p.wantError("invalid_request")
		}
	})
	for _, tt := range []struct{ rule, client, claims, acrs, want string }{
		{"OIDC Core §5.5.1.1: an essential acr that is met", "basic", `{"id_token":{"acr":{"essential":true,"values":["AAL3_FIDO2","AAL3_SMARTCARD"]}}}`, "", "AAL3_SMARTCARD"},
		{"OIDC Core §5.5.1.1: it comes before acr_values", "basic", `{"id_token":{"acr":{"essential":true,"value":"AAL3_SMARTCARD"}}}`, "AAL2_ANY", "AAL3_SMARTCARD"},
		{"OIDC Core §5.5.1.1: an acr that is no more than a wish does not", "basic", `{"id_token":{"acr":{"value":"AAL3_SMARTCARD"}}}`, "AAL2_ANY", "AAL2_ANY"},
		{"OIDC Core §5.5.1.1: and without acr_values it is what is asked for", "basic", `{"id_token":{"acr":{"value":"AAL3_SMARTCARD"}}}`, "", "AAL3_SMARTCARD"},
		{"OIDC Core §5.5.1.1: some acr there always is", "basic", `{"id_token":{"acr":{"essential":true}}}`, "", "AAL3_ANY"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			ask := asks(tt.claims)
			ask.Set("acr_values", tt.acrs)
			if got := payload(t, s.redeem(t, tt.client, s.signedIn(t, tt.client, oneRole, ask), nil))["acr"]; got != tt.want {
				t.Errorf("acr is %v, want %s", got, tt.want)
			}
		})
	}
	for _, tt := range []struct{ rule, client, claims, acrs string }{
		{"P14: an essential acr that nobody can meet here ends the request, whatever else would do", "basic", `{"id_token":{"acr":{"essential":true,"values":["AAL3_FIDO2"]}}}`, "AAL3_ANY"},
		{"P14: so does one that nobody knows", "basic", `{"id_token":{"acr":{"essential":true,"value":"urn:x"}}}`, "AAL3_ANY"},
		{"P14: and one that the client may not ask for", "card-only", `{"id_token":{"acr":{"essential":true,"value":"AAL2_ANY"}}}`, "AAL3_SMARTCARD"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			ask := asks(tt.claims)
			ask.Set("acr_values", tt.acrs)
			p := newPerson(t)
			p.open(s.authorizeURL(tt.client, ask))
			p.wantError("unmet_authentication_requirements")
		})
	}
	t.Run("OIDC Core §5.5.1: where claims asks for one person nobody else is the answer", func(t *testing.T) {
		ask := asks(`{"id_token":{"sub":{"value":"` + oneRole + `"}}}`)
		p := newPerson(t)
		p.open(s.authorizeURL("basic", ask))
		p.signIn(noRole)
		p.wantError("login_required")
		p.open(s.authorizeURL("basic", ask))
		p.signIn(oneRole)
		p.wantCode()
		ask.Set("prompt", "none")
		p.open(s.authorizeURL("basic", ask))
		p.wantCode()
		p.open(s.authorizeURL("basic", asks(`{"id_token":{"sub":{"value":"nobody"}}}`)))
		p.wantError("login_required")
	})
}

func TestHints(t *testing.T) {
	s := start(t, nil)
	t.Run("OIDC Core §3.1.2.1: display, login_hint, ui_locales and claims_locales are hints, and never an error", func(t *testing.T) {
		for _, hints := range []url.Values{
			{"display": {"page"}}, {"display": {"popup"}}, {"display": {"touch"}}, {"display": {"wap"}}, {"display": {"x"}},
			{"login_hint": {oneRole}}, {"login_hint": {"asha@example.org"}}, {"login_hint": {"<x>"}},
			{"ui_locales": {"cy fr-CA x-!"}}, {"claims_locales": {"cy fr-CA x-!"}},
		} {
			p := newPerson(t)
			p.open(s.authorizeURL("basic", hints))
			if p.status != http.StatusOK {
				t.Errorf("%v: %d, %s", hints, p.status, p.text())
				continue
			}
			p.signIn(oneRole)
			p.wantCode()
		}
	})
	t.Run("OIDC Core §7.2.1: registration is refused by name", func(t *testing.T) {
		p := newPerson(t)
		p.open(s.authorizeURL("basic", url.Values{"registration": {"{}"}}))
		p.wantError("registration_not_supported")
	})
	t.Run("P7: who is not registered for the code gets none", func(t *testing.T) {
		p := newPerson(t)
		p.open(s.authorizeURL("no-code", nil))
		p.wantError("unauthorized_client")
	})
}

func TestFreshness(t *testing.T) {
	s := start(t, nil)
	signedIn := func(t *testing.T) *person {
		t.Helper()
		p := newPerson(t)
		p.open(s.authorizeURL("basic", nil))
		p.signIn(oneRole)
		p.wantCode()
		return p
	}
	authTime := func(t *testing.T, p *person) any {
		t.Helper()
		return payload(t, s.redeem(t, "basic", p.wantCode(), nil))["auth_time"]
	}
	for _, tt := range []struct {
		rule, wait string
		ask        url.Values
		again      bool
	}{
		{"CIS2: max_age=300, after four minutes", "4m", url.Values{"max_age": {"300"}}, false},
		{"CIS2: max_age=300, after six", "6m", url.Values{"max_age": {"300"}}, true},
		{"P14: max_age=1, two seconds later", "2s", url.Values{"max_age": {"1"}}, true},
		{"P14: max_age=10000", "2s", url.Values{"max_age": {"10000"}}, false},
		{"P14: max_age=0, at once", "", url.Values{"max_age": {"0"}}, true},
		{"CIS2: prompt=login, as most clients send it", "2s", url.Values{"prompt": {"login"}, "max_age": {"300"}}, true},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			p := signedIn(t)
			p.open(s.authorizeURL("basic", nil))
			before := authTime(t, p)
			if tt.wait != "" {
				s.advance(t, tt.wait)
			}
			p.open(s.authorizeURL("basic", tt.ask))
			if asked := p.answer() == nil; asked != tt.again {
				t.Fatalf("somebody must sign in: %v, want %v", asked, tt.again)
			}
			if tt.again {
				s.advance(t, "1s")
				p.signIn(oneRole)
			}
			if after := authTime(t, p); (after != before) != tt.again {
				t.Errorf("auth_time was %v and is %v", before, after)
			}
		})
	}
	t.Run("CIS2: prompt=login with selectedrole asks for the card and not for the role, changedrole for the role", func(t *testing.T) {
		role := url.Values{"scope": {"openid selectedrole"}}
		p := newPerson(t)
		p.open(s.authorizeURL("basic", role))
		p.signIn(fiveRoles)
		first := firstRole(p)
		p.send("/login/role", url.Values{"role": {first}})
		p.wantCode()

		role.Set("prompt", "login")
		p.open(s.authorizeURL("basic", role))
		p.signIn(fiveRoles)
		p.wantPage(http.StatusOK, "Continue with the same role?")
		p.send("/login/role", url.Values{"role": {first}})
		p.wantCode()

		p.open(s.authorizeURL("basic", url.Values{"scope": {"openid changedrole"}}))
		p.wantPage(http.StatusOK, "Choose a role to work in")
		var others []string
		for in := range p.all("input") {
			if attr(in, "type") == "radio" && attr(in, "value") != first {
				others = append(others, attr(in, "value"))
			}
		}
		slices.Sort(others)
		p.send("/login/role", url.Values{"role": {others[0]}})
		if got := payload(t, s.redeem(t, "basic", p.wantCode(), nil))["selected_roleid"]; got != others[0] {
			t.Errorf("selected_roleid is %v, want %s", got, others[0])
		}
	})
}
